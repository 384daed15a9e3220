from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ModelConfig
from agent.money.tariff import UNPRICED, Tariff, tariff
from telemetry.price_book import PriceBook
from telemetry.pricing import Cost, UnknownPrice
from telemetry.usage import Usage

AT = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = Usage(1_000_000, 1_000_000)


@pytest.fixture(scope="session", name="book")
def _book() -> PriceBook:
    return PriceBook.load()


def model(**said: object) -> ModelConfig:
    base: dict[str, object] = {"provider": "openai", "model": "m", "context_window": 100_000, "output_cap": 1000}
    return ModelConfig.model_validate(base | said)


def charged(prices: Tariff, usage: Usage | None = MILLION, name: str | None = None, tier: str | None = None) -> int:
    cost = prices.charge(usage, None, name, tier, AT)
    assert cost
    return cost.nano_usd


class TestHeldForTheDearest:
    def test_of_the_names_that_may_answer(self, book: PriceBook) -> None:
        cheap = tariff(model(price="openai/gpt-4o-mini"), book).bound(1000, AT)
        dear = tariff(model(price="openai/gpt-4o"), book).bound(1000, AT)
        both = tariff(model(price="openai/gpt-4o-mini", response_names=["gpt-4o"]), book).bound(1000, AT)
        assert cheap.unit < dear.unit
        assert both == dear

    def test_charged_for_the_one_that_answered(self, book: PriceBook) -> None:
        prices = tariff(model(price="openai/gpt-4o-mini", response_names=["gpt-4o", "gpt-4o-mini-2024-07-18"]), book)
        assert charged(prices, name="gpt-4o") == charged(tariff(model(price="openai/gpt-4o"), book))
        for name in ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", None):  # an alias has its model's price
            assert charged(prices, name=name) == charged(tariff(model(price="openai/gpt-4o-mini"), book))

    def test_charged_for_a_stranger_whose_price_is_known(self, book: PriceBook) -> None:
        """Beyond its bound, and not hidden: it was nowhere said that this model may answer."""
        prices = tariff(model(price="openai/gpt-4o-mini"), book)
        assert charged(prices, name="gpt-4o") == charged(tariff(model(price="openai/gpt-4o"), book))
        assert charged(prices, name="nobody-knows-it") == charged(prices)

    def test_of_the_service_tiers(self, book: PriceBook) -> None:
        any_tier = tariff(model(price="openai/gpt-5-mini"), book)
        standard = tariff(model(price="openai/gpt-5-mini", parameters={"service_tier": "default"}), book)
        assert any_tier.bound(1000, AT).unit > standard.bound(1000, AT).unit
        assert charged(any_tier, tier="priority") > charged(any_tier, tier="default")

    def test_priority_that_was_asked_for_is_held(self, book: PriceBook) -> None:
        asked = tariff(model(price="openai/gpt-5-mini", parameters={"service_tier": "priority"}), book)
        bound = asked.bound(1_000_000, AT)
        assert charged(asked, tier="priority") <= bound.base + 1_000_000 * bound.unit


class TestWithoutAPriceOfItsOwn:
    def test_free_is_said(self) -> None:
        prices = tariff(model(free=True), None)
        assert prices.bound(10**6, AT).base == prices.bound(10**6, AT).unit == charged(prices) == 0

    def test_free_says_nothing_of_another_that_answers(self, book: PriceBook) -> None:
        paid = charged(tariff(model(price="openai/gpt-5.5-pro"), book))
        for prices in (tariff(model(free=True), None), tariff(model(free=True), book)):
            assert charged(prices, name="gpt-5.5-pro") == paid > 0
            for usage in (MILLION, None):
                assert prices.charge(usage, None, "nobody-knows-it", None, AT) is UNPRICED
            assert prices.charge(None, Decimal("0.5"), "nobody-knows-it", None, AT) == Cost(
                500_000_000, "measured", "provider"
            )
        known = tariff(model(free=True, response_names=["m-2026"]), None)
        assert charged(known, name="m-2026") == charged(known, name=None) == 0

    def test_ceiling(self) -> None:
        prices = tariff(model(ceiling_usd_per_mtok=["0.5", "2"]), None)
        assert charged(prices) == 2_500_000_000

    def test_nothing_said_is_no_price(self) -> None:
        with pytest.raises(UnknownPrice):
            tariff(model(), None)

    def test_unknown_key_names_close_ones(self, book: PriceBook) -> None:
        with pytest.raises(UnknownPrice, match="openai/gpt-4o"):
            tariff(model(price="openai/gpt-4o-minni"), book)


class TestCharge:
    prices = tariff(model(ceiling_usd_per_mtok=[1, 2]), None)

    def test_no_usage_is_unknown_and_not_zero(self) -> None:
        assert self.prices.charge(None, None, "m", None, AT) is None

    @pytest.mark.parametrize(
        "usage",
        [
            Usage(None, 5),
            Usage(5, None),
            Usage(7, 5, cache_read_tokens=163),
            Usage(2168, 5, cache_read_tokens=2161, cache_write_tokens=2161),
            Usage(10, 10, reasoning_tokens=11),
        ],
        ids=lambda usage: str(usage)[:40],
    )
    def test_nonsense_is_unknown(self, usage: Usage) -> None:
        assert self.prices.charge(usage, None, "m", None, AT) is None

    def test_unknown_tier_is_unknown(self, book: PriceBook) -> None:
        prices = tariff(model(price="openai/gpt-4o"), book)
        assert prices.charge(MILLION, None, None, "hyperdrive", AT) is None

    def test_stated_cost_is_charged_and_the_book_kept_beside(self) -> None:
        stated = self.prices.charge(Usage(1000, 1000), Decimal("0.0123"), "m", None, AT)
        assert stated == Cost(12_300_000, "measured", "provider", book_nano_usd=3_000_000)

    def test_stated_cost_without_usage(self) -> None:
        assert self.prices.charge(None, Decimal("0.5"), "m", None, AT) == Cost(500_000_000, "measured", "provider")


@given(
    prices=st.tuples(*[st.decimals("0.000001", "999", places=6)] * 2),
    used=st.tuples(st.integers(0, 300_000), st.integers(0, 20_000)),
    more=st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)),
)
def test_cost_is_within_its_bound(
    prices: tuple[Decimal, Decimal], used: tuple[int, int], more: tuple[int, int]
) -> None:
    flat = tariff(model(ceiling_usd_per_mtok=list(prices)), None)
    bound = flat.bound(used[0] + more[0], AT)
    assert charged(flat, Usage(*used)) <= bound.base + (used[1] + more[1]) * bound.unit


@pytest.mark.parametrize("key", ["openai/gpt-4o-mini", "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5"])
@given(tokens=st.tuples(st.integers(0, 400_000), st.integers(0, 50_000)), shares=st.tuples(*[st.integers(0, 100)] * 3))
def test_book_cost_is_within_its_bound(
    book: PriceBook, key: str, tokens: tuple[int, int], shares: tuple[int, int, int]
) -> None:
    prices = tariff(model(price=key), book)
    cached = tokens[0] * shares[0] // 100
    written = (tokens[0] - cached) * shares[1] // 100
    usage = Usage(*tokens, cached, written, tokens[1] * shares[2] // 100)
    bound = prices.bound(tokens[0], AT)
    assert charged(prices, usage) <= bound.base + tokens[1] * bound.unit
