"""Counters and holds: the rows behind budgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import orjson
from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql

from agent.money.account import UNITS, Counter, Granted, Line
from agent.store.tables import counter, hold
from agent.store.tx import IDS, Params, Row, Tx
from agent.store.work import Reserve
from telemetry.attempt import Call

# PostgreSQL's ON CONFLICT is what SQLite has taken over, and SQLAlchemy writes this one for both.
_NEW_COUNTER = (
    postgresql.insert(counter)
    .values(budget=bindparam("budget"), subject=bindparam("subject"), window_start=0, settled=0, reserved=0, seq=0)
    .on_conflict_do_nothing()
    .returning(counter.c.id)
)
_FIND_COUNTER = select(counter.c.id).where(
    and_(
        counter.c.budget == bindparam("budget"),
        counter.c.subject == bindparam("subject"),
        counter.c.window_start == 0,
    )
)
_DROP_COUNTERS = delete(counter).where(counter.c.id.in_(bindparam(IDS, expanding=True)))
_LOCK_COUNTERS = (
    select(counter.c.id, counter.c.settled, counter.c.reserved, counter.c.seq)
    .where(counter.c.id.in_(bindparam(IDS, expanding=True)))
    .order_by(counter.c.id)
    .with_for_update()
)
_WRITE_COUNTER = (
    update(counter)
    .where(counter.c.id == bindparam("counter_id"))
    .values(settled=bindparam("new_settled"), reserved=bindparam("new_reserved"), seq=bindparam("new_seq"))
)
_NEW_HOLD = hold.insert().values({column.name: bindparam(column.name) for column in hold.columns})
_HOLD = (hold.c.id, hold.c.at, hold.c.bound, hold.c.tokens, hold.c.dims, hold.c.lines)
_DROP_HOLDS = delete(hold).where(hold.c.id.in_(bindparam(IDS, expanding=True)))
_END_HOLDS = _DROP_HOLDS.returning(*_HOLD)
_LAPSED = (
    select(*_HOLD)
    .where(hold.c.lease < bindparam("now"))
    .order_by(hold.c.lease)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class HoldRow:
    """`bound` in nano-dollars and `tokens` are what the attempt can come to at most; `dims` is JSON (`read_dims`)."""

    attempt: str
    at: int
    bound: int
    tokens: int
    dims: str
    lines: tuple[Line, ...]


CounterKey: TypeAlias = tuple[int, str]
"""budget, subject"""


def counter_id(tx: Tx, key: CounterKey) -> tuple[int, bool]:
    """A counter's id, and whether it was made now: at its first use, for a missing counter is zero."""
    params: Params = {"budget": key[0], "subject": key[1]}
    made = tx.rows(_NEW_COUNTER, params)
    found = made or tx.rows(_FIND_COUNTER, params)
    return int(found[0][0]), bool(made)  # type: ignore[arg-type]


def drop_counters(tx: Tx, ids: Sequence[int]) -> None:
    """For those only that the same transaction has made and not moved."""
    tx.among(_DROP_COUNTERS, ids)


def lock_counters(tx: Tx, ids: Iterable[int]) -> dict[int, Counter]:
    rows = tx.among(_LOCK_COUNTERS, sorted(set(ids)))
    return {int(row[0]): Counter(*row) for row in rows}  # type: ignore[arg-type]


def write_counters(tx: Tx, counters: Iterable[Counter]) -> None:
    tx.each(
        _WRITE_COUNTER,
        [
            {"counter_id": c.id, "new_settled": c.settled, "new_reserved": c.reserved, "new_seq": c.seq}
            for c in counters
        ],
    )


def end_holds(tx: Tx, attempts: Sequence[str]) -> dict[str, HoldRow]:
    """Raises `Unreadable`."""
    return {str(row[0]): read_hold(row) for row in tx.among(_END_HOLDS, attempts)}


def drop_holds(tx: Tx, attempts: Sequence[str]) -> None:
    tx.among(_DROP_HOLDS, attempts)


def lapsed(tx: Tx, now: int, most: int) -> list[Row]:
    """Holds whose lease is over, the oldest of them; each for `read_hold`."""
    return tx.rows(_LAPSED, {"now": now, "most": most})


def read_hold(row: Row) -> HoldRow:
    """Raises `Unreadable`."""
    attempt, at, bound, tokens, dims, lines = row
    return HoldRow(str(attempt), at, bound, tokens, str(dims), read_lines(str(lines)))  # type: ignore[arg-type]


def add_hold(tx: Tx, ask: Reserve, granted: Granted, owner: str, lease: int) -> None:
    lines = [[line.counter, line.asked, line.seq, line.limit, line.unit] for line in granted.lines]
    tx.rows(
        _NEW_HOLD,
        {
            "id": ask.attempt,
            "owner": owner,
            "at": granted.at,
            "lease": lease,
            "turn": ask.turn,
            "step": ask.step,
            "epoch": ask.epoch,
            "dims": ask.dims,
            "bound": granted.bound,
            "tokens": ask.input_tokens + granted.cap,
            "lines": orjson.dumps(lines).decode(),
        },
    )


class Unreadable(ValueError):
    """The JSON of a hold says nothing that could be booked."""


_BLANK = Call(
    id="",
    turn_id="",
    step="",
    epoch=0,
    agent="",
    conversation_id=None,
    tenant=None,
    user=None,
    provider="",
    model="",
    server_address="",
    server_port=0,
    prompt_name="",
    prompt_version="",
    prompt_digest="",
    stream=False,
)
LINE = 5
"""Elements of a line that this program knows: counter, asked, seq, limit, unit."""

_NAMES = frozenset(field.name for field in fields(Call))


def dims(call: Call, number: int, trace_id: str | None) -> str:
    """A call as JSON, in a hold: what an expiry's ledger row says of it."""
    return orjson.dumps({"call": call, "number": number, "trace_id": trace_id}).decode()


def read_dims(text: str) -> tuple[Call, int, str | None]:
    """What another version of this program does not say is blank, what it says beside that is passed over. Raises
    `Unreadable`."""
    try:
        data = orjson.loads(text)
        known = {name: value for name, value in data["call"].items() if name in _NAMES}
        known["parameters"] = tuple(tuple(pair) for pair in known.get("parameters", ()))
        call, number, trace_id = replace(_BLANK, **known), data.get("number", 1), data.get("trace_id")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"{error}: {text[:200]}") from error
    alike = all(_alike(getattr(call, name), getattr(_BLANK, name)) for name in _NAMES)
    if not (alike and _alike(number, 0) and _alike(trace_id, None)):
        raise Unreadable(text[:200])
    return call, number, trace_id


def _alike(value: object, blank: object) -> bool:
    return value is None or isinstance(value, str) if blank is None else type(value) is type(blank)


def read_lines(text: str) -> tuple[Line, ...]:
    """The lines of a hold or of a ledger row's charges; more elements than these are passed over. Raises
    `Unreadable`."""
    try:
        lines = tuple([Line(*line[:LINE]) for line in orjson.loads(text)])
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{error}: {text[:200]}") from error
    for line in lines:
        if not (type(line.counter) is type(line.asked) is type(line.seq) is int and line.unit in UNITS):
            raise Unreadable(text[:200])
    return lines
