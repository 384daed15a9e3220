"""Turns that other processes run, or ran when they ended, and until when those processes' leases are good."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from agent.store.tables import is_running, turn, worker
from agent.store.tx import Tx

_LEASES = (
    select(func.coalesce(turn.c.owner, ""), func.coalesce(func.max(worker.c.lease_until), 0))
    .outerjoin(worker, worker.c.id == turn.c.owner)
    .where(is_running, turn.c.owner.is_distinct_from(bindparam("worker_id")))
    .group_by(turn.c.owner)
)


def leases(tx: Tx, worker_id: str) -> dict[str, int]:
    """The end of the lease (Unix microseconds, 0 for nobody) of every other process that owns a running turn. One
    that is dead is among them until a reaper has queued its turns."""
    return dict(tx.rows(_LEASES, {"worker_id": worker_id}))  # type: ignore[arg-type]
