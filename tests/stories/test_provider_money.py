"""What real providers bill and how they say it, each through a whole turn: caller, ledger and span say the same.

The numbers are those of the list of what real providers send; each test names its own. Prices are 1 USD per million
input tokens and 2 per million output tokens (1,000 and 2,000 nano-dollars each) unless a test says another.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import Fault
from telemetry.pricing import PricingError
from tests.stories.agreeing import agreed
from tests.support import books
from tests.support.app import Values
from tests.support.stage import COUNTS, NANO_COUNTS, Seen, answer, said, stage

pytestmark = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])

BOOK: Values = {"price": "openai/gpt-4o-mini", "model": "gpt-4o-mini", "ceiling_usd_per_mtok": None}
TIERED: Values = {**BOOK, "price": "openai/gpt-5-mini", "model": "gpt-5-mini"}


async def played(tmp_path: Path, stream: bool, fault: Fault, model: Values | None = None) -> Seen:
    async with stage(tmp_path, model=model or {}) as on:
        seen = await on.turn(fault, stream=stream)
    return agreed(seen)


def counted(prompt: int, completion: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


@pytest.mark.parametrize(
    "stated",
    [
        {"cost": 0.0123},
        {"cost": {"total_cost": 0.0123, "request_cost": 0.01}},
        {"cost": "0.0123"},
        {"total_cost": "0.0123"},
        {"estimated_cost": 0.0123},
        {"cost": {"input_tokens_cost": 0.0023, "output_tokens_cost": 0.005, "request_cost": 0.005}},
    ],
    ids=["a number", "an object", "text", "a total", "an estimate", "parts"],
)
async def test_1_a_stated_cost_is_charged_and_the_books_number_kept(
    tmp_path: Path, stream: bool, stated: dict[str, object]
) -> None:
    seen = await played(tmp_path, stream, answer(stream, usage={**counted(100, 10), **stated}))
    assert seen.booked("cost", "price_source", "book_cost", "quality") == [
        (12_300_000, "provider", NANO_COUNTS, "measured")
    ]


async def test_1_a_stated_cost_above_the_hold_is_booked_in_full(tmp_path: Path, stream: bool) -> None:
    """91 times what the tokens cost: nothing is hidden, and the next call finds the budget spent."""
    async with stage(tmp_path, budgets={"everything": 0.5}) as on:
        seen = await on.turn(answer(stream, usage={**counted(100, 10), "cost": 0.51}), stream=stream)
        refused = await on.turn(stream=stream)
        assert len(on.server.log.accesses) == 1
    agreed(seen)
    assert (seen.result.outcome, seen.row["cost"]) == ("answered", 510_000_000)
    assert seen.row["bound"] < seen.row["cost"]  # type: ignore[operator]
    assert refused.result.outcome == "refused_budget"
    assert (refused.ledger, refused.chats) == ((), [])


@pytest.mark.parametrize(
    "details",
    [
        {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 163}},
        {"prompt_tokens": 347, "prompt_tokens_details": {"cached_tokens": 403}},
        {"prompt_tokens": 2168, "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161}},
    ],
    ids=["7 and 163", "347 and 403", "cached and written"],
)
@pytest.mark.parametrize("model", [{}, BOOK], ids=["ceiling", "book"])
async def test_2_contradicting_counts_cost_the_bound(
    tmp_path: Path, stream: bool, details: dict[str, object], model: Values
) -> None:
    seen = await played(
        tmp_path, stream, answer(stream, usage={**counted(0, 10), **details, "total_tokens": None}), model
    )
    assert seen.result.outcome == "answered"
    assert seen.row["cost"] == seen.row["bound"] != 0
    assert seen.booked("quality", "price_source", "input_tokens") == [("unknown", "bound", None)]
    assert seen.chat.attributes["agent.cost.quality"] == "unknown"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({**counted(35, 12), "total_tokens": 109}, (35, 74, None)),
        ({**counted(9, 201), "total_tokens": 585, "prompt_audio_seconds": 24}, (384, 201, None)),
        ({**counted(5, 10), "completion_tokens_details": {"reasoning_tokens": 11}}, (5, 11, 11)),
    ],
    ids=["thinking", "audio", "reasoning above completion"],
)
async def test_3_hidden_tokens_are_billed(
    tmp_path: Path, stream: bool, usage: object, tokens: tuple[int, int, int | None]
) -> None:
    seen = await played(tmp_path, stream, answer(stream, usage=usage))
    assert seen.booked("input_tokens", "output_tokens", "reasoning_tokens") == [tokens]
    if tokens[0] != 384:  # of audio the flat price is no price
        assert seen.row["cost"] == tokens[0] * 1_000 + tokens[1] * 2_000


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 60}},
        {"prompt_cache_hit_tokens": 60},
        {"prompt_cache_hit_tokens": 60, "prompt_tokens_details": {"cached_tokens": 60}},
        {"num_cached_tokens": 60, "prompt_tokens_details": None},
        {"cached_tokens": 60, "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": None}},
    ],
    ids=lambda place: "+".join(place),
)
async def test_4_cached_tokens_are_found_everywhere_and_priced_once(
    tmp_path: Path, stream: bool, cached: dict[str, object]
) -> None:
    seen = await played(tmp_path, stream, answer(stream, usage={**counted(100, 10), **cached}), BOOK)
    # gpt-4o-mini: 0.15 USD per million fresh tokens, 0.075 cached, 0.60 output
    assert seen.booked("cache_read_tokens", "cost") == [(60, 40 * 150 + 60 * 75 + 10 * 600)]
    assert seen.chat.attributes["gen_ai.usage.cache_read.input_tokens"] == 60
    assert seen.chat.attributes["gen_ai.usage.input_tokens"] == 100


async def test_4_written_tokens_lie_inside_the_prompt_and_cost_more(tmp_path: Path, stream: bool) -> None:
    usage = {**counted(1000, 10), "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 600}}
    model: Values = {
        **BOOK,
        "provider": "anthropic",
        "price": "anthropic/claude-sonnet-4-5",
        "model": "claude-sonnet-4-5",
    }
    seen = await played(tmp_path, stream, answer(stream, usage=usage), model)
    assert seen.booked("cache_write_tokens", "cost") == [(600, 400 * 3_000 + 600 * 3_750 + 10 * 15_000)]


@pytest.mark.parametrize(("tier", "halves"), [("priority", 4), ("flex", 1), ("default", 2), (None, 2)])
async def test_5_the_answers_service_tier_sets_the_price(
    tmp_path: Path, stream: bool, tier: str | None, halves: int
) -> None:
    fault = answer(stream, usage=counted(1000, 100), model="gpt-5-mini", service_tier=tier)
    seen = await played(tmp_path, stream, fault, TIERED)
    # 0.25 USD per million input tokens, 2 output; priority is 1.8 times that here, as the book has it
    standard = 1000 * 250 + 100 * 2_000
    expected = {4: seen.row["cost"], 2: standard, 1: standard // 2}[halves]
    assert seen.booked("cost", "service_tier", "quality") == [(expected, tier, "measured")]
    assert (books.number(seen.row["cost"]) > standard) == (tier == "priority")
    assert books.number(seen.row["cost"]) <= books.number(seen.row["bound"])
    assert seen.chat.attributes.get("openai.response.service_tier") == tier


async def test_5_a_tier_without_a_price_costs_the_bound(tmp_path: Path, stream: bool) -> None:
    fault = answer(stream, usage=counted(1000, 100), model="gpt-5-mini", service_tier="hyperdrive")
    seen = await played(tmp_path, stream, fault, TIERED)
    assert seen.row["cost"] == seen.row["bound"]
    assert seen.booked("quality", "input_tokens", "output_tokens") == [("unknown", 1000, 100)]


async def test_6_another_model_is_charged_at_its_own_price_within_the_hold(tmp_path: Path, stream: bool) -> None:
    model: Values = {**BOOK, "response_names": ["gpt-4o"]}
    seen = await played(tmp_path, stream, answer(stream, usage=counted(100, 10), model="gpt-4o"), model)
    assert seen.booked("model", "response_model", "cost") == [("gpt-4o-mini", "gpt-4o", 100 * 2_500 + 10 * 10_000)]
    assert books.number(seen.row["cost"]) <= books.number(seen.row["bound"])


@pytest.mark.parametrize("name", ["gpt-4o-mini-2024-07-18", "my-azure-deployment", ""])
async def test_6_an_alias_costs_what_its_model_costs(tmp_path: Path, stream: bool, name: str) -> None:
    model: Values = {**BOOK, "response_names": ["gpt-4o-mini-2024-07-18", "my-azure-deployment"]}
    seen = await played(tmp_path, stream, answer(stream, usage=counted(100, 10), model=name), model)
    assert seen.booked("response_model", "cost", "quality") == [(name or None, 100 * 150 + 10 * 600, "measured")]


async def test_6_another_generation_that_nobody_listed_is_charged_at_its_own_price(
    tmp_path: Path, stream: bool
) -> None:
    """Not at the price of the model that was asked, a sixteenth of it."""
    seen = await played(tmp_path, stream, answer(stream, usage=counted(100, 10), model="gpt-4o"), BOOK)
    assert seen.booked("response_model", "cost") == [("gpt-4o", 100 * 2_500 + 10 * 10_000)]


async def test_6_a_free_model_does_not_make_the_one_that_answers_free(tmp_path: Path, stream: bool) -> None:
    free: Values = {"model": "big:free", "response_names": [], "free": True, "ceiling_usd_per_mtok": None}
    seen = await played(tmp_path, stream, answer(stream, model="big"), free)
    assert seen.booked("quality", "price_source", "input_tokens") == [("unknown", "none", 100)]


@pytest.mark.parametrize("key", ["openai/no-such-model", "openai/omni-moderation-latest"])
async def test_7_a_price_that_is_missing_or_zero_is_refused_before_anything_is_asked(
    tmp_path: Path, stream: bool, key: str
) -> None:
    with pytest.raises(PricingError):
        async with stage(tmp_path, model={**BOOK, "price": key}) as on:
            await on.turn(stream=stream)


async def test_7_free_is_said_and_only_then_free(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, stream, answer(stream), {"free": True, "ceiling_usd_per_mtok": None})
    assert seen.booked("cost", "price_source", "quality", "input_tokens") == [(0, "free", "measured", 100)]


async def test_7_audio_without_a_price_is_not_free(tmp_path: Path, stream: bool) -> None:
    usage = {**counted(100, 10), "prompt_tokens_details": {"audio_tokens": 90}}
    seen = await played(tmp_path, stream, answer(stream, usage=usage), BOOK)
    assert seen.row["cost"] == seen.row["bound"]
    assert seen.booked("quality", "input_tokens") == [("unknown", 100)]


async def test_8_an_answer_that_names_no_model_keeps_its_tokens(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, stream, answer(stream, model=None))
    assert seen.booked("response_model", "input_tokens", "output_tokens", "cost") == [(None, 100, 10, NANO_COUNTS)]
    assert "gen_ai.response.model" not in seen.chat.attributes


async def test_9_what_is_no_count_is_passed_over(tmp_path: Path, stream: bool) -> None:
    odd: dict[str, object] = {
        **counted(100, 10),
        "queue_time": 0.037,
        "prompt_time": 1.5,
        "is_byok": False,
        "billing": {"by": "token", "units": [1, 2.5]},
        "tier": "on_demand",
        "prompt_tokens_details": {"cached_tokens": 0.0, "audio_tokens": None, "text_tokens": True},
        "completion_tokens_details": {"reasoning_tokens": "many"},
    }
    seen = await played(tmp_path, stream, answer(stream, usage=odd))
    assert seen.booked("input_tokens", "output_tokens", "cost", "quality") == [(100, 10, NANO_COUNTS, "measured")]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "12", "completion_tokens": 3.5, "total_tokens": True},
        {"prompt_tokens": True, "completion_tokens": False},
        {"prompt_tokens": 2**63, "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 10, "total_tokens": 5},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    ],
    ids=["texts", "booleans", "huge", "negative", "zeros"],
)
async def test_9_counts_that_are_none_cost_the_bound(tmp_path: Path, stream: bool, usage: object) -> None:
    seen = await played(tmp_path, stream, answer(stream, usage=usage))
    assert (seen.result.outcome, seen.row["cost"]) == ("answered", seen.row["bound"])
    assert seen.booked("quality", "input_tokens", "output_tokens") == [("unknown", None, None)]


async def test_10_the_bound_covers_a_hidden_prompt(tmp_path: Path, stream: bool) -> None:
    """306 bytes that are 597 tokens: the overheads of the model are held, and cover what is charged."""
    hidden: Values = {"overhead_per_request": 400, "overhead_per_tool": 350}
    plain = await played(tmp_path / "plain", stream, answer(stream))
    seen = await played(tmp_path / "hidden", stream, answer(stream, usage=counted(597, 10)), hidden)
    assert books.number(seen.row["bound"]) - books.number(plain.row["bound"]) == (400 + 2 * 350) * 1_000
    assert books.number(seen.row["cost"]) <= books.number(seen.row["bound"])


async def test_11_reasoning_alone_is_paid_and_no_answer(tmp_path: Path, stream: bool) -> None:
    usage = {**counted(50, 100), "completion_tokens_details": {"reasoning_tokens": 100}}
    seen = await played(tmp_path, stream, answer(stream, text="", finish="length", usage=usage))
    assert (seen.result.outcome, seen.result.text) == ("limit_tokens", None)
    assert seen.booked("reasoning_tokens", "cost", "quality") == [(100, 50 * 1_000 + 100 * 2_000, "measured")]


async def test_11_a_400_after_generation_is_charged_and_tried_again(tmp_path: Path, stream: bool) -> None:
    error: object = {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault.raw_json(error, 400), answer(stream), stream=stream)
    agreed(seen)
    assert seen.result.outcome == "answered"
    assert seen.booked("outcome", "quality", "price_source") == [
        ("tool_use_failed", "unknown", "bound"),
        ("ok", "measured", "ceiling"),
    ]
    assert seen.ledger[0]["cost"] == seen.ledger[0]["bound"]


async def test_11_a_refused_request_costs_nothing(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, stream, Fault("status", 401))
    assert seen.result.outcome == "provider_failed"
    assert seen.booked("kind", "cost", "price_source") == [("release", 0, "not billed")]


async def test_11_an_answer_without_content_is_paid(tmp_path: Path, stream: bool) -> None:
    once: Values = {"retries": {"attempts": 1, "base_seconds": 0}}
    empty = said(stream, {"role": "assistant", "content": None}, "stop", COUNTS)
    seen = await played(tmp_path, stream, empty, once)
    assert seen.result.outcome == "provider_failed"
    assert seen.booked("outcome", "cost", "quality") == [("empty_reply", NANO_COUNTS, "measured")]
