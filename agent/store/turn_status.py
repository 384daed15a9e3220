"""How a turn stands, by its row and by what the ledger has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, cast, func, select

from agent.store import turns
from agent.store.tables import Int, ledger
from agent.store.tx import Tx, Value
from agent.types import Json


def _measured(name: str) -> ColumnElement[int]:
    return cast(func.sum(ledger.c[name]).filter(ledger.c.quality == "measured"), Int)


_SPENT = (
    select(
        ledger.c.model,
        _measured("input_tokens"),
        _measured("output_tokens"),
        _measured("cache_read_tokens"),
        _measured("reasoning_tokens"),
        cast(func.sum(ledger.c.cost), Int),
    )
    .where(ledger.c.turn == bindparam("turn_id"))
    .group_by(ledger.c.model)
    .order_by(func.min(ledger.c.id))
)


_FIRST = """
id conversation tenant user_id caller_key agent state outcome prompt_name prompt_version begun_at ended_at traceparent
"""
_FIELDS = tuple(_FIRST.split())
"""Columns of the turn, in the order of `TurnStatus`."""


@dataclass(frozen=True, slots=True)
class TurnStatus:
    """Times: Unix microseconds. Tokens are what providers reported, None where none did; `cost` are the nano-dollars
    of all attempts; `models` those that were asked, in the order of their first use."""

    turn: str
    conversation: str
    tenant: str
    user: str | None
    caller_key: str | None
    agent: str
    state: str
    outcome: str | None
    prompt_name: str
    prompt_version: str
    begun_at: int
    ended_at: int | None
    traceparent: str | None
    text: str | None
    reason: str | None
    detail: Mapping[str, Json] | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    reasoning_tokens: int | None
    cost: int
    models: tuple[str, ...]


def read(tx: Tx, turn_id: str) -> TurnStatus | None:
    row = turns.read_turn(tx, turn_id)
    if row is None:
        return None
    fields = dict(zip(turns.TURN_COLUMNS, row, strict=True))
    result = turns.result_of(row)
    spent = tx.rows(_SPENT, {"turn_id": turn_id})
    values: tuple[object, ...] = (
        *(fields[name] for name in _FIELDS),
        result.text,
        result.reason,
        result.detail,
        *(_sum([row[place] for row in spent]) for place in range(1, 5)),
        _sum([row[5] for row in spent]) or 0,
        tuple([str(row[0]) for row in spent]),
    )
    return TurnStatus(*values)  # type: ignore[arg-type]


def _sum(parts: Sequence[Value]) -> int | None:
    known = [part for part in parts if isinstance(part, int)]
    return sum(known) if known else None
