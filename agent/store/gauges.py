"""What gauges show of the store: running totals of the ledger, and the counters of budgets. Refreshed by the pulse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from agent.store.tables import counter, ledger
from agent.store.tx import Tx

BATCH = 10_000

LedgerKey = tuple[str, str, str, str, str]
"""agent, model, prompt name, prompt version, quality"""

_NEW_ROWS = (
    select(
        ledger.c.id,
        ledger.c.agent,
        ledger.c.model,
        ledger.c.prompt_name,
        ledger.c.prompt_version,
        ledger.c.quality,
        ledger.c.cost,
    )
    .where(ledger.c.id > bindparam("seen"))
    .order_by(ledger.c.id)
    .limit(BATCH)
)
_WHOLE = select(counter.c.budget, counter.c.settled, counter.c.reserved).where(
    counter.c.subject == "", counter.c.window_start == 0
)


@dataclass(slots=True)
class Gauges:
    """A snapshot. `refresh` adds the rows that came since the last one, so it costs what is new and not what is old.

    `budgets` are (charged, held) nano-dollars by budget id, for budgets of one counter.
    """

    costs: Mapping[LedgerKey, int] = field(default_factory=dict)
    budgets: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    seen: int = 0

    def refresh(self, tx: Tx) -> bool:
        """Whether there may be more."""
        rows = tx.rows(_NEW_ROWS, {"seen": self.seen})
        if rows:
            costs: dict[LedgerKey, int] = defaultdict(int, self.costs)
            for row_id, *key, cost in rows:
                agent, model, name, version, quality = map(str, key)
                costs[agent, model, name, version, quality] += _int(cost)
                self.seen = _int(row_id)
            self.costs = dict(costs)  # replaced whole: a scrape reads it from another thread
        if len(rows) == BATCH:
            return True
        self.budgets = {_int(b): (_int(settled), _int(held)) for b, settled, held in tx.rows(_WHOLE)}
        return False


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
