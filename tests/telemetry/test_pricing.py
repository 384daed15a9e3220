from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.pricing import FREE, Cost, FlatPrices, Prices, UnitBound, UnusableUsage, ZeroPrice, nano_usd, stated
from telemetry.usage import Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CEILING = FlatPrices(Decimal("3.333333333333"), Decimal("10.00000000001"))


@pytest.mark.parametrize(
    ("usd", "half_even", "up"),
    [
        ("0", 0, 0),
        ("1", 1_000_000_000, 1_000_000_000),
        ("0.000000001", 1, 1),
        ("0.0000000005", 0, 1),
        ("0.0000000015", 2, 2),
        ("0.0000000025", 2, 3),
        ("0.00000000250000000000000000000000000001", 3, 3),
        ("0.0000000000000000000000000000000000001", 0, 1),
        ("9223372036.854775807", 9_223_372_036_854_775_807, 9_223_372_036_854_775_807),
    ],
)
def test_money_is_rounded_in_one_place(usd: str, half_even: int, up: int) -> None:
    assert nano_usd(Decimal(usd), "half_even") == half_even
    assert nano_usd(Decimal(usd), "up") == up


def test_rounding_does_not_depend_on_the_caller_s_decimal_context() -> None:
    with localcontext(prec=3):
        assert nano_usd(Decimal("123.456789012"), "half_even") == 123_456_789_012
        assert CEILING.cost(Usage(123_457, 7), at=NOW, service_tier=None).nano_usd == 411_593_333


def test_a_bound_is_its_base_and_so_much_for_each_output_token() -> None:
    assert UnitBound(100, 7).of(30) == 310


def test_the_ceiling_price_of_a_model_without_one() -> None:
    prices = FlatPrices(Decimal(15), Decimal("75.5"))
    cost = prices.cost(Usage(1000, 10, 900, 50, 5), at=NOW, service_tier="whatever")
    assert cost == Cost(
        15_755_000, "measured", "ceiling", (("input", "0.000015"), ("output", "0.0000755")), effective=None
    )
    assert prices.bound(input_tokens=1000, at=NOW) == UnitBound(15_000_000, 75_500)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 5), st.integers(0, 5))
def test_a_ceiling_s_cost_is_within_its_bound(input_tokens: int, output: int, less: int, fewer: int) -> None:
    bound = CEILING.bound(input_tokens=input_tokens, at=NOW).of(output)
    usage = Usage(max(0, input_tokens - less), max(0, output - fewer))
    assert CEILING.cost(usage, at=NOW, service_tier=None).nano_usd <= bound


@pytest.mark.parametrize(("input_price", "output_price"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_a_ceiling_of_nothing_is_no_ceiling(input_price: str, output_price: str) -> None:
    with pytest.raises(ZeroPrice):
        FlatPrices(Decimal(input_price), Decimal(output_price))


def test_free_is_said_and_costs_nothing() -> None:
    assert FREE.cost(Usage(10**6, 10**6), at=NOW, service_tier=None) == Cost(0, "measured", "free")
    assert FREE.bound(input_tokens=10**6, at=NOW) == UnitBound(0, 0)


def test_a_provider_s_own_cost_is_charged_and_the_book_s_number_kept() -> None:
    book = Cost(1_000, "measured", "genai-prices 0", (("input", "0.000001"),), "2026-08-21")
    assert stated(Decimal("0.0000910005"), book) == Cost(91_000, "measured", "provider", book_nano_usd=1_000)
    assert stated(Decimal("0.25"), None) == Cost(250_000_000, "measured", "provider")


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (Usage(None, 1), "input_tokens (None) and output_tokens (1) are not both counted"),
        (Usage(1, None), "input_tokens (1) and output_tokens (None) are not both counted"),
        (Usage(7, 1, 163), "cached and written tokens (163 and 0) exceed input_tokens (7)"),
        (Usage(2168, 1, 2161, 2161), "cached and written tokens (2161 and 2161) exceed input_tokens (2168)"),
        (Usage(5, 10, reasoning_tokens=11), "reasoning_tokens (11) exceed output_tokens (10)"),
        (Usage(-5, 10), "a count below 0"),
    ],
)
def test_a_usage_that_contradicts_itself_has_no_cost(usage: Usage, said: str) -> None:
    with pytest.raises(UnusableUsage) as raised:
        CEILING.cost(usage, at=NOW, service_tier=None)
    assert said in str(raised.value)


@pytest.mark.parametrize("prices", [FREE, CEILING])
@pytest.mark.parametrize("side", ["input", "output"])
def test_flat_prices_hold_for_every_modality(prices: Prices, side: Literal["input", "output"]) -> None:
    plain, audio = Usage(50, 40), Usage(50, 40, by_modality=((side, "audio", 30),))
    assert prices.cost(audio, at=NOW, service_tier=None) == prices.cost(plain, at=NOW, service_tier=None)
