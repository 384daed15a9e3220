"""What a budget's counter says: how much is charged, and how much is held by calls under way."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from agent.store.tables import counter
from agent.store.tx import Tx

_BALANCE = select(counter.c.settled, counter.c.reserved).where(
    counter.c.budget == bindparam("budget"), counter.c.subject == bindparam("subject"), counter.c.window_start == 0
)


@dataclass(frozen=True, slots=True)
class Balance:
    """Nano-dollars."""

    charged: int = 0
    held: int = 0


def read(tx: Tx, budget: int, subject: str = "") -> Balance:
    """The balance of a budget, or of one `subject` of it; nothing is charged where nobody ever asked."""
    rows = tx.rows(_BALANCE, {"budget": budget, "subject": subject})
    return Balance(*rows[0]) if rows else Balance()  # type: ignore[arg-type]
