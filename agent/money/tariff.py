"""What a configured model costs: held for the dearest that may answer, charged for what did answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from agent.config import ModelConfig
from agent.money.account import Price
from telemetry.price_book import PriceBook
from telemetry.pricing import FREE, Cost, FlatPrices, Prices, PricingError, UnknownPrice, stated
from telemetry.usage import Usage


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices of one model and of the other names it may answer with. `tiers` are the service tiers that an answer may
    be billed at, None for any."""

    prices: Prices
    by_name: Mapping[str, Prices] = field(default_factory=dict)
    tiers: frozenset[str] | None = None

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
        """The cost of what the provider reported, None where it can't be known. `at` is when the hold was admitted."""
        book = self._book(usage, name, tier, at)
        return book if stated_usd is None else stated(stated_usd, book)

    def _book(self, usage: Usage | None, name: str | None, tier: str | None, at: datetime) -> Cost | None:
        if usage is None:
            return None
        prices = self.by_name.get(name, self.prices) if name else self.prices
        try:
            return prices.cost(usage, at=at, service_tier=tier)
        except PricingError:
            return None


def tariff(model: ModelConfig, book: PriceBook | None) -> Tariff:
    """The tariff that `models.yaml` describes. `book` is None only where no model needs one. Raises `UnknownPrice`."""
    tier = model.parameters.get("service_tier")
    tiers = None if tier in (None, "auto") else frozenset({str(tier)} - {"default"})
    if model.free:
        return Tariff(FREE)
    if model.price is None:
        if model.ceiling_usd_per_mtok is None:
            raise UnknownPrice(model.model)
        return Tariff(FlatPrices(*model.ceiling_usd_per_mtok))
    assert book is not None
    provider = model.price.partition("/")[0]
    names = {}
    for name in model.response_names:
        try:
            names[name] = book.prices(f"{provider}/{name}")
        except PricingError:
            continue  # an alias, or one that the book calls free: the model's own price
    return Tariff(book.prices(model.price), names, tiers)


def instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
