"""Every model of the book: priced as the package does it, recomputable, and within its bound."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from genai_prices import Usage as PackageUsage
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider
from hypothesis import given
from hypothesis import strategies as st

from telemetry.price_book import ModelPrices, PriceBook
from telemetry.pricing import UnknownPrice, UnknownTier, ZeroPrice
from telemetry.usage import Usage

BOOK = PriceBook.load()
MODELS: dict[str, tuple[Provider, ModelInfo]] = {f"{p.id}/{m.id}": (p, m) for p in providers for m in p.models}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _priced(key: str) -> ModelPrices | None:
    """The model's prices where it can be used for chats at all."""
    try:
        prices = BOOK.prices(key)
        prices.bound(input_tokens=1, at=NOW)
    except (ZeroPrice, UnknownPrice):
        return None
    return prices


CHATS = {key: prices for key in MODELS if (prices := _priced(key))}


def nano(prices: ModelPrices, usage: Usage, at: datetime, service_tier: str | None) -> int:
    return prices.cost(usage, at=at, service_tier=service_tier).nano_usd


_TIMES = tuple(
    datetime(year, month, 20, hour, 30, tzinfo=UTC)
    for year, month, hour in ((2026, 1, 2), (2026, 8, 5), (2026, 9, 12), (2026, 11, 17), (2027, 1, 8))
)
_SIZES = (32_000, 32_001, 100_001, 199_999, 200_000, 200_001, 272_000, 272_001, 2_000_000)
_SHARES = ((0, 0, 0), (7, 0, 0), (3, 4, 0), (9, 1, 5))


def test_every_model_is_priced_as_the_package_does_it() -> None:
    assert len(CHATS) > 1_900
    tiers = 0
    for number, (key, prices) in enumerate(CHATS.items()):
        for offset, size in enumerate(_SIZES):
            read, written, reasoning = _SHARES[(number + offset) % len(_SHARES)]
            usage = Usage(size, 4_001, size * read // 10, size * written // 10, 4_001 * reasoning // 10)
            at = _TIMES[(number + offset) % len(_TIMES)]
            standard, *others = _known_tiers(prices, at)
            for tier in (standard if offset % 2 else None, *others):
                assert nano(prices, usage, at, tier) == _package_nano(key, usage, at, tier), (key, usage, at, tier)
            tiers += len(others)
    assert tiers > 200


def test_a_charge_can_be_recomputed_from_its_unit_prices() -> None:
    usage = Usage(1_003, 71, 307, 101, 29)
    kinds = {"input": 595, "cache_read": 307, "cache_write": 101, "output": 42, "reasoning": 29, "request": 1}
    for prices in CHATS.values():
        cost = prices.cost(usage, at=NOW, service_tier=None)
        with localcontext(Context(prec=60, rounding=ROUND_HALF_EVEN)):
            usd = sum((kinds[kind] * Decimal(price) for kind, price in cost.unit_prices), Decimal(0))
            assert cost.nano_usd == int((usd * 10**9).to_integral_value())


def _known_tiers(prices: ModelPrices, at: datetime) -> tuple[str, ...]:
    with pytest.raises(UnknownTier) as raised:
        prices.cost(Usage(1, 1), at=at, service_tier="nonsense")
    return ("default", *raised.value.known)


@given(data=st.data())
def test_no_answer_within_its_limits_costs_more_than_its_bound(data: st.DataObject) -> None:
    prices = CHATS[data.draw(st.sampled_from(sorted(CHATS)))]
    at = NOW - timedelta(minutes=data.draw(st.integers(0, 60 * 24 * 400)))
    limit = data.draw(st.integers(0, 3_000_000) | st.sampled_from(_SIZES))
    cap = data.draw(st.integers(0, 200_000))
    input_tokens = data.draw(st.integers(0, limit) | st.just(limit))
    read = data.draw(st.integers(0, input_tokens))
    written = data.draw(st.integers(0, input_tokens - read))
    output = data.draw(st.integers(0, cap) | st.just(cap))
    usage = Usage(input_tokens, output, read, written, data.draw(st.integers(0, output)))
    bound = prices.bound(input_tokens=limit, at=at).of(cap)
    for tier in _known_tiers(prices, at):
        assert nano(prices, usage, at, tier) <= bound


def _package_nano(key: str, usage: Usage, at: datetime, tier: str | None) -> int:
    provider, model = MODELS[key]
    with warnings.catch_warnings(), localcontext(Context(prec=60, rounding=ROUND_HALF_EVEN)):
        warnings.simplefilter("error")
        calculated = model.calc_price(
            PackageUsage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
            ),
            provider,
            genai_request_timestamp=at,
            price_context={"service_tier": tier} if tier else None,
        )
        return int((calculated.total_price * 10**9).to_integral_value())
