"""Processes and their leases: who lives, whose turns are to be taken over."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, bindparam, case, exists, insert, or_, select, update

from agent.store.tables import Int, hold, is_live, is_running, turn, worker
from agent.store.tx import IDS, Tx

RESEND = 30 * 10**6
"""Microseconds that a turn waits where taking it over has failed, twice as long each time. Where its process died it
does not wait: a lease has gone by."""

_NEW = insert(worker).values(
    id=bindparam("id"),
    host=bindparam("host"),
    started_at=bindparam("now"),
    lease_until=bindparam("until"),
    state="live",
)
_BEAT = (
    update(worker)
    .where(worker.c.id == bindparam("worker_id"), is_live)
    .values(lease_until=bindparam("until"))
    .returning(worker.c.id)
)
_RENEW = update(hold).where(hold.c.id.in_(bindparam(IDS, expanding=True))).values(lease=bindparam("until"))
_BURY = (
    update(worker).where(is_live, worker.c.lease_until < bindparam("now")).values(state="dead").returning(worker.c.id)
)
_LEAVE = update(worker).where(worker.c.id == bindparam("worker_id")).values(state="dead", lease_until=bindparam("now"))
_TAKE_BACK = (
    update(turn)
    .where(
        is_running,
        or_(
            turn.c.owner.is_(None),
            ~exists(select(worker.c.id).where(and_(worker.c.id == turn.c.owner, is_live))),
        ),
    )
    .values(state="queued", owner=None, epoch=turn.c.epoch + 1, due_at=bindparam("now"))
    .returning(turn.c.id)
)
_OWN = select(turn.c.id).where(turn.c.owner == bindparam("worker_id"), is_running)
# Reaping raises the epoch by one and claiming does: at epoch 1 a turn is where it was begun, at 3 taken over once.
_due = bindparam("now", type_=Int) + case(
    {1: 0, 3: RESEND, 5: 2 * RESEND, 7: 4 * RESEND}, value=turn.c.epoch, else_=8 * RESEND
)
_LET_GO = (
    update(turn)
    .where(turn.c.id.in_(bindparam(IDS, expanding=True)))
    .values(state="queued", owner=None, epoch=turn.c.epoch + 1, due_at=_due)
)


def enter(tx: Tx, worker_id: str, host: str, lease: int) -> None:
    now = tx.now()
    tx.rows(_NEW, {"id": worker_id, "host": host, "now": now, "until": now + lease})


def beat(tx: Tx, worker_id: str, attempts: Collection[str], lease: int) -> bool:
    """Renews a process's lease and the holds of its live attempts. False: it was declared dead, and must stop."""
    until = tx.now() + lease
    if not tx.rows(_BEAT, {"worker_id": worker_id, "until": until}):
        return False
    tx.among(_RENEW, sorted(attempts), {"until": until})
    return True


def leave(tx: Tx, worker_id: str) -> None:
    """A clean end: what this process still has open may be taken over at once."""
    tx.rows(_LEAVE, {"worker_id": worker_id, "now": tx.now()})


def reap(tx: Tx) -> list[str]:
    """Declares processes dead whose lease is over and queues their turns at a higher epoch. The ids of those turns."""
    now = tx.now()
    tx.rows(_BURY, {"now": now})
    return [str(row[0]) for row in tx.rows(_TAKE_BACK, {"now": now})]


def let_go(tx: Tx, worker_id: str, under_way: Collection[str]) -> None:
    """Queues those of a process's own turns that no task of it runs any more: the store had failed under them."""
    lost = [row[0] for row in tx.rows(_OWN, {"worker_id": worker_id}) if row[0] not in under_way]
    tx.among(_LET_GO, lost, {"now": tx.now()})
