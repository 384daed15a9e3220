"""What the store knows of one turn beside its row and its journal: attempts, open holds, the processes that ran it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from agent.store.tables import hold, ledger, turn, worker
from agent.store.tx import Tx

FEW = 10
"""Turns that are named where an id is the beginning of several."""

_BY_PREFIX = (
    select(turn.c.id).where(turn.c.id >= bindparam("first"), turn.c.id < bindparam("beyond")).order_by(turn.c.id)
).limit(FEW)
_BY_TRACE = select(turn.c.id).where(turn.c.traceparent.like(bindparam("traceparent"))).order_by(turn.c.id).limit(FEW)
_LAST_OF_CONVERSATION = (
    select(turn.c.id).where(turn.c.conversation == bindparam("conversation")).order_by(turn.c.ordinal.desc()).limit(1)
)
_BOOKED = (
    select(
        ledger.c.attempt,
        ledger.c.call,
        ledger.c.step,
        ledger.c.epoch,
        ledger.c.number,
        ledger.c.kind,
        ledger.c.at,
        ledger.c.ended,
        ledger.c.provider,
        ledger.c.model,
        ledger.c.response_model,
        ledger.c.input_tokens,
        ledger.c.output_tokens,
        ledger.c.quality,
        ledger.c.cost,
        ledger.c.outcome,
    )
    .where(ledger.c.turn == bindparam("turn_id"))
    .order_by(ledger.c.id)
)
_HELD = (
    select(hold.c.id, hold.c.step, hold.c.epoch, hold.c.at, hold.c.bound, hold.c.dims)
    .where(hold.c.turn == bindparam("turn_id"))
    .order_by(hold.c.at)
)
_PROCESSES = (
    select(ledger.c.epoch, ledger.c.writer, worker.c.host)
    .join(worker, worker.c.id == ledger.c.writer)
    .where(ledger.c.turn == bindparam("turn_id"), ledger.c.kind != "expiry")
    .distinct()
    .order_by(ledger.c.epoch)
)


@dataclass(frozen=True, slots=True)
class Booked:
    """A ledger row of an attempt, in the order of the query. Times: Unix microseconds; `cost`: nano-dollars."""

    attempt: str
    call: str
    step: str
    epoch: int
    number: int
    kind: str
    at: int
    ended: int
    provider: str
    model: str
    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    quality: str
    cost: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Held:
    """A hold that is still open. `dims`: the call as JSON (`accounts.read_dims`)."""

    attempt: str
    step: str
    epoch: int
    at: int
    bound: int
    dims: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process that made a call of the turn at this epoch."""

    epoch: int
    worker: str
    host: str


def find(tx: Tx, wanted: str) -> Sequence[str]:
    """The turns (at most `FEW`) that `wanted` may mean: a turn's id or its beginning, a trace id, or a conversation's
    id, which means its last turn."""
    by_prefix = tx.rows(_BY_PREFIX, {"first": wanted, "beyond": wanted + "\uffff"})
    by_trace = tx.rows(_BY_TRACE, {"traceparent": f"00-{wanted}-%"}) if len(wanted) == 32 else []
    found = by_prefix or by_trace or tx.rows(_LAST_OF_CONVERSATION, {"conversation": wanted})
    return [str(row[0]) for row in found]


def booked(tx: Tx, turn_id: str) -> list[Booked]:
    return [Booked(*row) for row in tx.rows(_BOOKED, {"turn_id": turn_id})]  # type: ignore[arg-type]


def held(tx: Tx, turn_id: str) -> list[Held]:
    return [Held(*row) for row in tx.rows(_HELD, {"turn_id": turn_id})]  # type: ignore[arg-type]


def processes(tx: Tx, turn_id: str) -> list[Process]:
    return [Process(*row) for row in tx.rows(_PROCESSES, {"turn_id": turn_id})]  # type: ignore[arg-type]
