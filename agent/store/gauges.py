"""What gauges show of the store: the ledger's totals, and the counters of budgets. Refreshed by the pulse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.money.account import EVERYTHING
from agent.store import balances, totals
from agent.store.balances import Balance
from agent.store.totals import TotalKey
from agent.store.tx import Tx


@dataclass(slots=True)
class Gauges:
    """A snapshot; what it costs to take does not grow with the ledger. `costs` are nano-dollars, `balances` by budget
    id, for budgets of one counter. Both are replaced whole: a scrape reads them from another thread."""

    costs: Mapping[TotalKey, int] = field(default_factory=dict)
    balances: Mapping[int, Balance] = field(default_factory=dict)

    def refresh(self, tx: Tx) -> None:
        self.costs = totals.costs(tx)
        self.balances = {EVERYTHING: balances.read(tx, EVERYTHING)}
