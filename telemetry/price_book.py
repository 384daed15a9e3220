"""Prices by exact key from `genai-prices`, offline: dated, tiered by input size, per service tier.

The arithmetic is ours (`price_bands`), on that package's data, because its lookup matches names loosely, prices an
unknown service tier as the standard one, counts a missing price as 0, raises on usages that real providers send, and
doesn't say since when a price holds. Tests hold it equal to the package's own, over all models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from telemetry.price_bands import FALLBACKS, Bands, Ceiling, UnitPrice, ceiling
from telemetry.pricing import EXACT, Cost, UnitBound, UnknownPrice, UnknownTier, ZeroPrice, nano_usd, price_text
from telemetry.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard"})
"""What answers call the standard tier; `on_demand` is Groq's word. No tier at all means the same."""

_KINDS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "input_audio": "input_audio_mtok",
    "input_image": "input_image_mtok",
    "input_video": "input_video_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "output_video": "output_video_mtok",
    "request": "requests_kcount",
}
"""Our kinds and the package's price keys. Searches, pages and hours are in no usage, so they have no kind."""

_MEMO = 64
"""So many minutes, by service tier, keep their resolved prices: a hold and its settling ask for the same one."""


class PriceBook:
    """All models that `genai-prices` knows, by `PROVIDER/MODEL`. One per process; loading takes half a second."""

    def __init__(self, models: Mapping[str, ModelInfo], source: str) -> None:
        self.source = source
        self._models = models
        self._prices: dict[str, ModelPrices] = {}

    @classmethod
    def load(cls) -> PriceBook:
        """The prices that came with the package; nothing is downloaded."""
        import genai_prices
        from genai_prices.data import providers

        models = {f"{provider.id}/{model.id}": model for provider in providers for model in provider.models}
        return cls(models, f"genai-prices {genai_prices.__version__}")

    def keys(self) -> Set[str]:
        return self._models.keys()

    def prices(self, key: str) -> ModelPrices:
        """The prices of exactly this key, case included. Raises `UnknownPrice`, or `ZeroPrice` where the book says
        that it costs nothing. `bound` of the result raises where the model has no prices for a chat's tokens."""
        if key not in self._prices:
            if key not in self._models:
                raise UnknownPrice(key, close=tuple(get_close_matches(key, self._models, n=3)))
            self._prices[key] = ModelPrices(key, self._models[key], self.source)
        return self._prices[key]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A price entry of the package: in force while `constraint` is (None: always), for one tier or the standard."""

    prices: ModelPrice
    constraint: StartDateConstraint | TimeOfDateConstraint | None = None
    service_tier: str = ""

    def active(self, at: datetime) -> bool:
        return self.constraint is None or self.constraint.active(at)


class ModelPrices:
    """One model's prices. They may change with the date or the time of day, to the minute.

    A bound and the cost that it bounds are computed for the same `at`, so prices after it don't matter.
    """

    def __init__(self, key: str, model: ModelInfo, source: str) -> None:
        self.key, self.source = key, source
        self._entries, self._variants = _entries(model), _variants(model)
        priced = all(entry.prices.__dict__ for entry in self._entries)
        if not priced or any(_is_zero(entry.prices) for entry in (*self._entries, *self._variants)):
            raise ZeroPrice(key)
        self._bands = lru_cache(_MEMO)(self._resolve)
        self._ceiling = lru_cache(_MEMO)(self._resolve_all)

    def cost(self, usage: Usage, *, at: datetime, service_tier: str | None) -> Cost:
        """See `Prices`. Cached tokens have their own price, once; so has reasoning where the book has one."""
        bands = self._bands(_minute(at), service_tier or "")
        usd, unit_prices = bands.charge(usage)
        return Cost(nano_usd(usd, "half_even"), "measured", self.source, unit_prices, bands.effective)

    def bound(self, *, input_tokens: int, at: datetime, service_tiers: Set[str] | None = None) -> UnitBound:
        """See `Prices`. The input is taken at the dearest of the prices for text, cached or not; the output at the
        dearest of all that the model can put out."""
        tiers = None if service_tiers is None else frozenset(service_tiers)
        return self._ceiling(_minute(at), tiers).bound(input_tokens)

    def _resolve_all(self, at: datetime, service_tiers: frozenset[str] | None) -> Ceiling:
        tiers = self._tiers(at) if service_tiers is None else service_tiers
        return ceiling([self._bands(at, tier) for tier in ("", *(tiers - STANDARD_TIERS))])

    def _resolve(self, at: datetime, service_tier: str) -> Bands:
        # As the package has it: of dated entries the last one in force holds, and the first where none is.
        active = [entry for entry in self._entries if entry.active(at)]
        matched = [active[-1] if active else self._entries[0]]
        if service_tier not in STANDARD_TIERS:
            if service_tier not in self._tiers(at):
                raise UnknownTier(self.key, service_tier, tuple(sorted(self._tiers(at))))
            # Of two variants the earlier one wins, so it is applied last.
            variants = [entry for entry in reversed(self._variants) if entry.service_tier == service_tier]
            matched += [entry for entry in variants if entry.active(at)]
        prices: dict[str, Decimal | TieredPrices] = {}
        for entry in matched:
            prices.update(entry.prices.__dict__)
        return _banded(self.key, prices, _since(matched))

    def _tiers(self, at: datetime) -> frozenset[str]:
        return frozenset(entry.service_tier for entry in self._variants if entry.active(at)) - STANDARD_TIERS


def _entries(model: ModelInfo) -> tuple[_Entry, ...]:
    if isinstance(model.prices, list):
        return tuple(_Entry(dated.prices, dated.constraint) for dated in model.prices)
    return (_Entry(model.prices),)


def _variants(model: ModelInfo) -> tuple[_Entry, ...]:
    """Those by service tier alone; the package's other variants are of requests that are not chats of ours."""
    return tuple(
        _Entry(variant.prices, variant.constraint, variant.when["service_tier"])
        for variant in model.price_variants or ()
        if variant.when.keys() == {"service_tier"}
    )


def _is_zero(prices: ModelPrice) -> bool:
    return any(
        _at_size(prices.__dict__[key], -1) == 0 for key in ("input_mtok", "output_mtok") if key in prices.__dict__
    )


def _since(entries: list[_Entry]) -> str | None:
    starts = (getattr(entry.constraint, "start_date", None) for entry in entries)
    return max((start.isoformat() for start in starts if isinstance(start, date)), default=None)


def _banded(key: str, prices: Mapping[str, Decimal | TieredPrices], effective: str | None) -> Bands:
    tiered = [price for price in prices.values() if not isinstance(price, Decimal)]
    thresholds = tuple(sorted({tier.start for price in tiered for tier in price.tiers}))
    bands = tuple(dict(_unit_prices(prices, above)) for above in (-1, *thresholds))
    return Bands(key, thresholds, bands, effective)


def _unit_prices(prices: Mapping[str, Decimal | TieredPrices], above: int) -> Iterator[tuple[str, UnitPrice]]:
    for kind, price_key in _KINDS.items():
        if price_key not in prices and kind in FALLBACKS:
            price_key = _KINDS[FALLBACKS[kind]]
        if (price := prices.get(price_key)) is not None:
            usd = _at_size(price, above).scaleb(-3 if kind == "request" else -6, EXACT)
            yield kind, UnitPrice(usd, price_text(usd))


def _at_size(price: Decimal | TieredPrices, above: int) -> Decimal:
    """A price where the input is just larger than `above`: the package's tiers begin beyond their `start`."""
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return reached[-1] if reached else price.base


def _minute(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"the time {at} has no zone")
    return at.replace(second=0, microsecond=0)
