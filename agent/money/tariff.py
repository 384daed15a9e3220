"""What a configured model costs: held for the dearest that may answer, charged for what did answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache

from agent.config import ModelConfig
from agent.money.account import Price
from telemetry.price_book import PriceBook
from telemetry.pricing import FREE, Cost, FlatPrices, Prices, PricingError, UnknownPrice, stated
from telemetry.usage import Usage

UNPRICED = Cost(0, "unknown", "none")
"""Of an answer by a model without a price, in place of one that is free and that nothing was held for."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices of one model and of the other names it may answer with. `tiers` are the service tiers that an answer may
    be billed at, None for any. `stranger`: the prices of a name that the configuration does not list, None where its
    own are not known; raises `PricingError` where the model's own must not be taken for it."""

    prices: Prices
    by_name: Mapping[str, Prices] = field(default_factory=dict)
    tiers: frozenset[str] | None = None
    names: frozenset[str] = frozenset()
    stranger: Callable[[str], Prices | None] = lambda name: None

    def bound(self, input_tokens: int, at: datetime) -> Price:
        """What an answer to `input_tokens` can cost at most, whichever of the names answers. Raises `PricingError`."""
        bounds = [
            prices.bound(input_tokens=input_tokens, at=at, service_tiers=self.tiers)
            for prices in (self.prices, *self.by_name.values())
        ]
        return Price(
            max(bound.base_nano_usd for bound in bounds), max(bound.output_nano_usd_per_token for bound in bounds)
        )

    def charge(
        self, usage: Usage | None, stated_usd: Decimal | None, name: str | None, tier: str | None, at: datetime
    ) -> Cost | None:
        """The cost of what the provider reported, None where it can't be known, `UNPRICED` where a bound of nothing
        can't stand for it either. `at` is when the bound was taken."""
        book = self._book(usage, name, tier, at)
        if stated_usd is not None:
            return stated(stated_usd, book)
        if book is None and self.prices is FREE and name and name not in self.names:
            return UNPRICED
        return book

    def _book(self, usage: Usage | None, name: str | None, tier: str | None, at: datetime) -> Cost | None:
        if usage is None:
            return None
        try:
            return self._of(name).cost(usage, at=at, service_tier=tier)
        except PricingError:
            return None

    def _of(self, name: str | None) -> Prices:
        if not name or name in self.names:
            return self.by_name.get(name or "", self.prices)
        return self.stranger(name) or self.prices


def tariff(model: ModelConfig, book: PriceBook | None) -> Tariff:
    """The tariff that `models.yaml` describes. `book` is None only where no model needs one. Raises `UnknownPrice`."""
    tier = model.parameters.get("service_tier")
    tiers = None if tier in (None, "auto") else frozenset({str(tier)} - {"default"})
    known = frozenset({model.model, *model.response_names})
    if model.free:
        return Tariff(FREE, names=known, stranger=_not_free(model.provider, book))
    if model.price is None:
        if model.ceiling_usd_per_mtok is None:
            raise UnknownPrice(model.model)
        return Tariff(FlatPrices(*model.ceiling_usd_per_mtok))
    assert book is not None
    provider = model.price.partition("/")[0]

    @lru_cache(maxsize=256)
    def exact(name: str) -> Prices | None:
        try:
            return book.prices(f"{provider}/{name}")
        except PricingError:
            return None  # an alias, or one that the book calls free: the model's own price

    names = {name: prices for name in model.response_names if (prices := exact(name))}
    return Tariff(book.prices(model.price), names, tiers, known, exact)


def _not_free(provider: str, book: PriceBook | None) -> Callable[[str], Prices]:
    """That a model is free says nothing of another that answers in its place: its own price, or `PricingError`. The
    book is loaded only then: who has nothing but free models needs none."""
    return lambda name: (book or _book()).prices(f"{provider}/{name}")


@cache
def _book() -> PriceBook:
    return PriceBook.load()
