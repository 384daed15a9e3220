"""Lets gauges show the store and the configuration. Called at each scrape, on its thread: snapshots only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.config.load import Config
from agent.money.account import EVERYTHING, NANO
from agent.pulse import Pulse
from agent.store.balances import Balance
from agent.store.store import Store
from telemetry import names as n
from telemetry.metrics import Metrics

Row = tuple[tuple[str, ...], int | float]


def watch(metrics: Metrics, config: Config, store: Store, pulse: Pulse) -> None:
    budgets = [(name, b.window, int(b.limit_usd * NANO)) for name, b in config.budgets.budgets.items()]

    def of_everything(part: Callable[[Balance], int]) -> Iterator[Row]:
        balance = pulse.gauges.balances.get(EVERYTHING, Balance())
        return (((name, window), part(balance)) for name, window, _ in budgets)

    def active_prompts() -> Iterator[Row]:
        for name, versions in config.prompts.items():
            yield from (((name, str(v.version)), float(v is versions[-1])) for v in versions)

    metrics.watch(n.LEDGER_COST, lambda: pulse.gauges.costs.items())
    metrics.watch(n.BUDGET_LIMIT, lambda: [((name, window), limit) for name, window, limit in budgets])
    metrics.watch(n.BUDGET_CHARGED, lambda: of_everything(lambda balance: balance.charged))
    metrics.watch(n.BUDGET_HELD, lambda: of_everything(lambda balance: balance.held))
    metrics.watch(n.SETTLES_WAITING, lambda: [((), store.settles_waiting)])
    metrics.watch(n.PROMPT_ACTIVE, active_prompts)
    metrics.watch(n.CONFIG_VALID, lambda: [((), 1)])
