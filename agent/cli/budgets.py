"""What is left of the budgets that a turn was under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.app import App
    from agent.store.tx import Tx
    from agent.types import TurnResult


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget as it stands: nano-dollars; `limit` is None where there is none. `held` is for calls under way."""

    name: str
    limit: int | None
    charged: int
    held: int

    @property
    def left(self) -> int | None:
        return None if self.limit is None else self.limit - self.charged - self.held


async def standings(app: App, result: TurnResult) -> list[Standing]:
    """The turn's own budget, then those that are configured."""
    from agent.money.account import turn_limit
    from agent.store import balances

    bounds = app.agents[result.agent].bounds
    limits = (turn_limit(result.turn_id, bounds.usd_per_turn), *app.services.limits)

    def read(tx: Tx) -> list[Standing]:
        found = [balances.read(tx, limit.budget, limit.subject) for limit in limits]
        return [Standing(limit.name, limit.limit, b.charged, b.held) for limit, b in zip(limits, found, strict=True)]

    return await app.services.store.read(read)
