from __future__ import annotations

from decimal import Decimal

import pytest

from telemetry.usage import Reported, Usage, read_usage


def read(**usage: object) -> Reported:
    return read_usage({"usage": usage})


@pytest.mark.parametrize(
    ("stated", "usd"),
    [
        ({"cost": 0.00091}, "0.00091"),
        ({"cost": 0}, "0"),
        ({"cost": 2}, "2"),
        ({"cost": 1e-7}, "0.0000001"),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005, "input_tokens_cost": 0.001}}, "0.006"),
        ({"cost_in_usd_ticks": 232_856_000}, "0.0232856"),
        ({"cost": 0.5, "cost_in_usd_ticks": 1}, "0.5"),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, "0.21"),
        ({"cost": 0.2, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.2}}, "0.2"),
        ({"cost": 0.2, "is_byok": True, "cost_details": None}, "0.2"),
        ({"cost": "0.0012"}, "0.0012"),
        ({"cost": " 1.2e-05 "}, "0.000012"),
        ({"cost": "$0.5"}, "0.5"),
        ({"total_cost": "0.01"}, "0.01"),
        ({"total_cost": 0.01}, "0.01"),
        ({"estimated_cost": 0.000017}, "0.000017"),
        ({"cost": None, "estimated_cost": "0.2"}, "0.2"),
        ({"cost": 0.1, "total_cost": 0.3, "estimated_cost": 0.2}, "0.1"),
        ({"cost": {"total": "0.3", "currency": "USD"}}, "0.3"),
        ({"cost": {"input_tokens_cost": 0.001, "output_tokens_cost": "0.002", "request_cost": 0.005}}, "0.008"),
        ({"cost": {"input": 0.001, "output": 0.002, "input_tokens": 7}}, "0.003"),
        ({"cost": {"request_cost": 1}}, "1"),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": "0.2"}}, "0.21"),
    ],
)
def test_a_stated_cost(stated: dict[str, object], usd: str) -> None:
    reported = read(prompt_tokens=3, completion_tokens=2, **stated)
    assert (reported.usage, reported.stated_usd, reported.problem) == (Usage(3, 2), Decimal(usd), None)


@pytest.mark.parametrize(
    "cost",
    [
        -0.1, float("nan"), float("inf"), "cheap", "-0.1", "nan", "1" * 20, "0.1 EUR", True, [0.1], 10**10,
        {}, {"currency": "EUR", "total_cost": 0.1}, {"tokens": 7}, {"total_cost": "cheap"},
    ],
)  # fmt: skip
def test_a_stated_cost_that_is_no_amount_leaves_the_tokens(cost: object) -> None:
    reported = read(prompt_tokens=3, completion_tokens=2, cost=cost)
    assert (reported.usage, reported.stated_usd) == (Usage(3, 2), None)
    assert reported.problem is not None
    assert "is not an amount" in reported.problem


def test_a_cost_that_is_none_beside_one_that_is() -> None:
    reported = read(prompt_tokens=3, completion_tokens=2, cost="cheap", total_cost=0.1)
    assert (reported.stated_usd, reported.problem) == (Decimal("0.1"), "the stated cost ('cheap') is not an amount")


def test_a_stated_cost_survives_unusable_tokens() -> None:
    reported = read(prompt_tokens=7, completion_tokens=1, cached_tokens=163, cost=0.25)
    assert (reported.usage, reported.stated_usd) == (None, Decimal("0.25"))
