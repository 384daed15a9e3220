"""Counters and holds: the rows behind budgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.dialects import sqlite

from agent.money.account import Counter, Granted, Limit, Line
from agent.store.tables import counter, hold
from agent.store.tx import IDS, Params, Tx
from agent.store.work import Reserve
from telemetry.attempt import Call

# `ON CONFLICT` is spelled the same on both engines; SQLAlchemy has it in the dialects only.
_NEW_COUNTER = (
    sqlite.insert(counter)
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
_END_HOLDS = (
    delete(hold)
    .where(hold.c.id.in_(bindparam(IDS, expanding=True)))
    .returning(hold.c.id, hold.c.at, hold.c.bound, hold.c.tokens, hold.c.dims, hold.c.lines)
)
_LAPSED = select(hold.c.id).where(hold.c.lease < bindparam("now")).order_by(hold.c.lease).limit(200)
_LAPSED_LOCKED = _LAPSED.with_for_update(skip_locked=True)


@dataclass(frozen=True, slots=True)
class HoldRow:
    attempt: str
    at: int
    bound: int
    tokens: int
    dims: str
    lines: tuple[Line, ...]


def counter_id(tx: Tx, limit: Limit) -> int:
    """The counter of a line; made at its first use, for a missing counter is zero."""
    key: Params = {"budget": limit.budget, "subject": limit.subject}
    found = tx.rows(_NEW_COUNTER, key) or tx.rows(_FIND_COUNTER, key)
    return int(found[0][0])  # type: ignore[arg-type]


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
    return {str(row[0]): _hold(row) for row in tx.among(_END_HOLDS, attempts)}  # type: ignore[arg-type]


def lapsed(tx: Tx, now: int) -> list[str]:
    return [str(row[0]) for row in tx.rows(_LAPSED_LOCKED, {"now": now})]


def add_hold(tx: Tx, ask: Reserve, granted: Granted, owner: str, lease: int) -> None:
    lines = [[line.counter, line.asked, line.seq, line.limit] for line in granted.lines]
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


def _hold(row: tuple[str, int, int, int, str, str]) -> HoldRow:
    attempt, at, bound, tokens, dims, lines = row
    return HoldRow(attempt, at, bound, tokens, dims, tuple(Line(*line) for line in orjson.loads(lines)))


def dims(call: Call, number: int, trace_id: str | None) -> str:
    """A call as JSON, in a hold: what an expiry's ledger row says of it."""
    return orjson.dumps({"call": call, "number": number, "trace_id": trace_id}).decode()


def read_dims(text: str) -> tuple[Call, int, str | None]:
    data = orjson.loads(text)
    fields = data["call"]
    fields["parameters"] = tuple(tuple(pair) for pair in fields["parameters"])
    return Call(**fields), data["number"], data["trace_id"]
