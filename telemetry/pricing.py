"""Usage to money: cost and upper bound of an attempt. Pure; `Decimal` inside, integer nano-dollars out.

Prices by model are in `telemetry.price_book`; here is what every source of prices has in common, and the two that need
no book: a flat ceiling price and "free".
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from typing import Literal, Protocol

from telemetry.usage import Quality, Usage

EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""Holds any product of a token count and a price without rounding."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt is charged.

    `nano_usd` is the charge in nano-dollars. `unit_prices` are the decimal USD per token that were applied, by
    kind, as text, so that the charge can be recomputed. `book_nano_usd` is the price book's number where the
    provider stated a cost of its own (then `source` is `provider`), else None.
    """

    nano_usd: int
    quality: Quality
    source: str
    unit_prices: tuple[tuple[str, str], ...] = ()
    effective: str | None = None
    book_nano_usd: int | None = None


@dataclass(frozen=True, slots=True)
class UnitBound:
    """An upper bound of an attempt's cost: `base_nano_usd` for all of its input, the other for each output token."""

    base_nano_usd: int
    output_nano_usd_per_token: int

    def of(self, output_cap: int) -> int:
        """Nano-dollars that an answer of at most `output_cap` tokens can cost."""
        return self.base_nano_usd + output_cap * self.output_nano_usd_per_token


class PricingError(Exception):
    """A cost can't be stated. It is then not zero but unknown: the hold is charged at its bound."""


class UnknownPrice(PricingError, LookupError):
    """No price for `key`, or none for `kind` of its tokens; `close` are up to three keys that exist."""

    def __init__(self, key: str, kind: str | None = None, close: tuple[str, ...] = ()) -> None:
        self.key, self.kind, self.close = key, kind, close
        wanted = f"no price for {kind} of {key!r}" if kind else f"no price for {key!r}"
        super().__init__(f"{wanted}; close: {', '.join(close)}" if close else wanted)


class ZeroPrice(PricingError):
    """The price book says that `key` costs nothing. Only `free: true` in the configuration may say that."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the price book has no price above 0 for {key!r}: say free or give a ceiling price")


class UnknownTier(PricingError):
    """`key` has no price for the service tier at that time; `known` are those that it has besides the standard."""

    def __init__(self, key: str, service_tier: str, known: tuple[str, ...]) -> None:
        self.key, self.service_tier, self.known = key, service_tier, known
        super().__init__(f"no price for service tier {service_tier!r} of {key!r}; known: {', '.join(known) or 'none'}")


class UnusableUsage(PricingError):
    """A usage that contradicts itself or doesn't count both sides. `read_usage` never returns one."""


class Prices(Protocol):
    """Where the prices of one model come from."""

    def cost(self, usage: Usage, *, at: datetime, service_tier: str | None) -> Cost:
        """What `usage` costs at the instant `at` (aware) and the answer's service tier. Raises `PricingError`."""

    def bound(self, *, input_tokens: int, at: datetime, service_tiers: Set[str] | None = None) -> UnitBound:
        """What any answer to at most `input_tokens` tokens of text can cost, settled at the same `at`, in the
        standard tier or in one of `service_tiers` (None: any that has a price). Raises `PricingError`."""


@dataclass(frozen=True, slots=True)
class FlatPrices:
    """A ceiling for a model without a price: USD per million tokens, whatever their kind and the service tier."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal

    def __post_init__(self) -> None:
        if self.input_usd_per_mtok <= 0 or self.output_usd_per_mtok <= 0:
            raise ZeroPrice("the ceiling")

    def cost(self, usage: Usage, *, at: datetime, service_tier: str | None) -> Cost:
        input_tokens, output_tokens = counted(usage)
        usd = EXACT.multiply(self.input_usd_per_mtok, Decimal(input_tokens))
        usd = EXACT.fma(self.output_usd_per_mtok, Decimal(output_tokens), usd)
        prices = (("input", self.input_usd_per_mtok), ("output", self.output_usd_per_mtok))
        unit_prices = tuple((kind, price_text(price.scaleb(-6, EXACT))) for kind, price in prices)
        return Cost(nano_usd(usd.scaleb(-6, EXACT), "half_even"), "measured", "ceiling", unit_prices)

    def bound(self, *, input_tokens: int, at: datetime, service_tiers: Set[str] | None = None) -> UnitBound:
        base = EXACT.multiply(self.input_usd_per_mtok, Decimal(input_tokens)).scaleb(-6, EXACT)
        return UnitBound(nano_usd(base, "up"), nano_usd(self.output_usd_per_mtok.scaleb(-6, EXACT), "up"))


class _Free:
    """A model that costs nothing because the configuration says so."""

    def cost(self, usage: Usage, *, at: datetime, service_tier: str | None) -> Cost:
        return Cost(0, "measured", "free")

    def bound(self, *, input_tokens: int, at: datetime, service_tiers: Set[str] | None = None) -> UnitBound:
        return UnitBound(0, 0)


FREE: Prices = _Free()


def stated(cost_usd: Decimal, book: Cost | None) -> Cost:
    """The cost that a provider states itself is what is charged; the price book's number stays beside it."""
    return Cost(
        nano_usd(cost_usd, "half_even"), "measured", "provider", book_nano_usd=None if book is None else book.nano_usd
    )


def nano_usd(usd: Decimal, rounding: Literal["up", "half_even"]) -> int:
    """USD as nano-dollars: the one place that rounds money. Bounds and holds go `up`, costs `half_even`, so that a
    cost within its bound stays within it."""
    mode = ROUND_CEILING if rounding == "up" else ROUND_HALF_EVEN
    return int(usd.scaleb(9, EXACT).to_integral_value(mode))


def price_text(usd: Decimal) -> str:
    """A unit price as exact text, with neither exponent nor trailing zeros."""
    return f"{usd.normalize(EXACT):f}"


def counted(usage: Usage) -> tuple[int, int]:
    """Input and output tokens of a usage that counts both and doesn't contradict itself. Raises `UnusableUsage`."""
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None or output_tokens is None:
        raise UnusableUsage(f"input_tokens ({input_tokens}) and output_tokens ({output_tokens}) are not both counted")
    cached, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    reasoning = usage.reasoning_tokens or 0
    if min(input_tokens, output_tokens, cached, written, reasoning) < 0:
        raise UnusableUsage(f"a count below 0 in {usage}")
    if cached + written > input_tokens:
        raise UnusableUsage(f"cached and written tokens ({cached} and {written}) exceed input_tokens ({input_tokens})")
    if reasoning > output_tokens:
        raise UnusableUsage(f"reasoning_tokens ({reasoning}) exceed output_tokens ({output_tokens})")
    return input_tokens, output_tokens
