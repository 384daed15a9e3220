"""Turns: who runs which, at which epoch, and what it came to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, exists, func, select, update

from agent.store.tables import is_live, is_queued, is_running, step, turn, worker
from agent.store.tx import IDS, Row, Tx, Value
from agent.store.work import Fence, Finish
from agent.types import Json

# One lock for those that go on and those that end: a shared one could not be made exclusive without a deadlock.
_FENCE = (
    select(turn.c.id)
    .where(turn.c.id.in_(bindparam(IDS, expanding=True)), turn.c.epoch == bindparam("held"), is_running)
    .order_by(turn.c.id)
    .with_for_update()
)
_FINISH = (
    update(turn)
    .where(turn.c.id == bindparam("turn_id"))
    .values(
        state="done", ended_at=bindparam("now"), outcome=bindparam("outcome"), result=bindparam("result"), owner=None
    )
)
_QUEUED = select(turn.c.id).where(is_queued, turn.c.due_at <= bindparam("now")).order_by(turn.c.due_at)
_step_at = func.coalesce(step.c.answered_at, step.c.started_at)
_last_heard_of = func.coalesce(
    select(func.max(_step_at)).where(step.c.turn == turn.c.id, _step_at > turn.c.owned_at).scalar_subquery(),
    turn.c.owned_at,
)
_CLAIM = (
    update(turn)
    .where(
        turn.c.id == bindparam("turn_id"),
        is_queued,
        exists(select(worker.c.id).where(worker.c.id == bindparam("new_owner"), is_live)),
    )
    .values(
        state="running",
        owner=bindparam("new_owner"),
        epoch=turn.c.epoch + 1,
        owned_at=bindparam("now"),
        deadline_at=turn.c.deadline_at + bindparam("now") - _last_heard_of,
        due_at=None,
    )
    .returning(turn.c.epoch)
)
_TURN = select(turn).where(turn.c.id == bindparam("turn_id"))
TURN_COLUMNS = tuple(column.name for column in turn.columns)
_RESULT = TURN_COLUMNS.index("result")


def held_fences(tx: Tx, fences: Collection[Fence]) -> set[Fence]:
    """Those fences that still stand: the turn runs at this epoch. Locks the turns against being taken over."""
    standing: set[Fence] = set()
    for epoch in sorted({fence.epoch for fence in fences}):
        ids = sorted({fence.turn for fence in fences if fence.epoch == epoch})
        standing.update(Fence(str(row[0]), epoch) for row in tx.among(_FENCE, ids, {"held": epoch}))
    return standing


def finish(tx: Tx, turn_id: str, end: Finish, now: int) -> None:
    result = orjson.dumps({"text": end.text, "reason": end.reason, "detail": end.detail}).decode()
    tx.rows(_FINISH, {"turn_id": turn_id, "now": now, "outcome": end.outcome, "result": result})


@dataclass(frozen=True, slots=True)
class Result:
    """What a turn came to: what `Finish` was given. All None where it is still open, or erased."""

    text: str | None = None
    reason: str | None = None
    detail: Mapping[str, Json] | None = None


def result_of(row: Row) -> Result:
    """The result in a turn row that is in the order of `TURN_COLUMNS`."""
    return read_result(row[_RESULT])


def read_result(column: Value) -> Result:
    return Result(**orjson.loads(str(column))) if column is not None else Result()


def queued(tx: Tx, now: int) -> list[str]:
    return [str(row[0]) for row in tx.rows(_QUEUED, {"now": now})]


def claim(tx: Tx, turn_id: str, owner: str, now: int) -> int | None:
    """Takes over a queued turn: its new epoch. Its deadline has stood still since it was last heard of. None: another
    process was first, or this one was declared dead."""
    found = tx.rows(_CLAIM, {"turn_id": turn_id, "new_owner": owner, "now": now})
    return int(found[0][0]) if found else None  # type: ignore[arg-type]


def read_turn(tx: Tx, turn_id: str) -> Row | None:
    """A turn row in the order of `TURN_COLUMNS`."""
    found = tx.rows(_TURN, {"turn_id": turn_id})
    return found[0] if found else None
