"""The cost that a provider states itself, wherever it stands in its usage object and however it is written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

MAX_USD = Decimal(10**6)
"""More USD than this for one answer is nonsense, and a few thousand times it would not fit the books."""

_TICKS_PER_USD = 10**10  # xAI's unit: 232,856,000 ticks were billed as $0.0232856

_PLACES = {"cost": 1, "total_cost": 1, "estimated_cost": 1, "cost_in_usd_ticks": _TICKS_PER_USD}
"""Where a cost stands, in the order of their say, and how many of its units are a dollar."""

_TOTALS = ("total_cost", "total", "total_usd", "usd")

_PART = re.compile(r".*_cost|input|output|prompt|completion|request")

_DECIMAL = re.compile(r"\$?(\d{1,20}(?:\.\d{1,30})?(?:[eE]-?\d{1,2})?)(?: ?USD)?")


def stated_usd(raw: Mapping[str, object]) -> tuple[Decimal | None, str | None]:
    """USD that a usage object states, and in words what stands there and is no amount."""
    problem = None
    for place, per_usd in _PLACES.items():
        cost = raw.get(place)
        if cost is None:
            continue
        usd = _in_object(cost) if isinstance(cost, Mapping) else _amount(cost, per_usd)
        if usd is not None:
            return usd + _paid_upstream(raw), problem
        problem = problem or f"the stated cost ({shown(cost)}) is not an amount"
    return None, problem


def _in_object(cost: Mapping[object, object]) -> Decimal | None:
    """Its total, else the sum of its parts. Of another currency nothing is known."""
    currency = cost.get("currency")
    if isinstance(currency, str) and currency.strip().upper() not in ("", "USD", "$"):
        return None
    for name in _TOTALS:
        if (total := cost.get(name)) is not None:
            return _amount(total, 1)
    parts = [_amount(part, 1) for name, part in cost.items() if _PART.fullmatch(str(name))]
    amounts = [part for part in parts if part is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def _paid_upstream(raw: Mapping[str, object]) -> Decimal:
    """OpenRouter with one's own key: its `cost` is its fee alone; the model is paid for at the provider."""
    details = raw.get("cost_details")
    if raw.get("is_byok") is not True or not isinstance(details, Mapping):
        return Decimal(0)
    return _amount(details.get("upstream_inference_cost"), 1) or Decimal(0)


def _amount(value: object, per_usd: int) -> Decimal | None:
    if isinstance(value, str):
        match = _DECIMAL.fullmatch(value.strip())
        amount = Decimal(match[1]) if match else None
        return None if amount is None or amount > MAX_USD * per_usd else amount / per_usd
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_USD * per_usd:
        return None
    return Decimal(repr(value)) / per_usd


def shown(value: object) -> str:
    """A value of a provider's as it may stand in a message."""
    if isinstance(value, str):
        return repr(value[:60])
    # An integer of more than 4,300 digits raises where it is made text, also inside of another value.
    if isinstance(value, int) and abs(value) > _SHOWN:
        return "an integer of more than 18 digits"
    return repr(value) if value is None or isinstance(value, int | float) else type(value).__name__


_SHOWN = 10**18
