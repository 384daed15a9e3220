"""Turns that other processes run, and until when those processes' leases are good."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from agent.store.tables import turn, worker
from agent.store.tx import Tx

_LEASES = (
    select(worker.c.id, worker.c.lease_until)
    .where(
        worker.c.state == "live",
        worker.c.id != bindparam("worker_id"),
        worker.c.id.in_(select(turn.c.owner).where(turn.c.state == "running")),
    )
    .order_by(worker.c.id)
)


def leases(tx: Tx, worker_id: str) -> dict[str, int]:
    """The end of the lease (Unix microseconds) of every other process that is not declared dead and owns a turn."""
    return dict(tx.rows(_LEASES, {"worker_id": worker_id}))  # type: ignore[arg-type]
