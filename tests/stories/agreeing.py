"""Whatever a turn was charged, everybody was told the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support import books
from tests.support.stage import Seen


def agreed(seen: Seen) -> Seen:
    """Whatever was charged, the caller, the ledger and the spans were told the same."""
    cost = books.total(seen.ledger, "cost")
    assert seen.result.cost_nano_usd == cost
    assert seen.agent.attributes["agent.turn.cost.usd"] == pytest.approx(cost / 1e9, abs=0)
    costs = [Decimal(str(chat.attributes.get("agent.cost.usd", 0))) for chat in seen.chats]
    assert sum(costs) == Decimal(cost) / 10**9
    for side in ("input", "output"):
        told = [row[f"{side}_tokens"] for row in seen.ledger if row["quality"] != "estimated"]
        reported = [books.number(tokens) for tokens in told if tokens is not None]
        tokens = sum(reported) if reported else None  # not known, and not zero
        assert getattr(seen.result.usage, f"{side}_tokens") == tokens
        assert seen.agent.attributes.get(f"gen_ai.usage.{side}_tokens") == tokens
        spans = [chat.attributes.get(f"gen_ai.usage.{side}_tokens") for chat in seen.chats]
        assert sum(int(str(count)) for count in spans if count is not None) == (tokens or 0)
    return seen
