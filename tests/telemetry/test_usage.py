from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.usage import NOTHING, Reported, Usage, read_usage


def read(**usage: object) -> Reported:
    return read_usage({"id": "x", "choices": [], "usage": usage})


def counted(**usage: object) -> Usage:
    reported = read(**usage)
    assert reported.usage is not None, reported.problem
    return reported.usage


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"usage": None},
        {"usage": {}},
        {"usage": "12 tokens"},
        {"x_groq": {"id": "req", "usage": None}},
        {"x_groq": "usage"},
    ],
)
def test_a_body_without_usage_reports_nothing(body: dict[str, object]) -> None:
    assert read_usage(body) is NOTHING


def test_everything_that_a_full_body_states() -> None:
    reported = read(
        prompt_tokens=2006,
        completion_tokens=300,
        total_tokens=2306,
        prompt_tokens_details={"cached_tokens": 1920, "audio_tokens": 0, "cache_write_tokens": 64},
        completion_tokens_details={"reasoning_tokens": 128, "audio_tokens": 0, "accepted_prediction_tokens": 7},
    )
    assert reported == Reported(Usage(2006, 300, 1920, 64, 128), None, None)


def test_what_is_not_stated_is_none_and_not_zero() -> None:
    assert counted(prompt_tokens=3, completion_tokens=2) == Usage(3, 2, None, None, None)
    assert counted(prompt_tokens=3, completion_tokens=2, prompt_tokens_details=None).cache_read_tokens is None
    assert counted(prompt_tokens=3, completion_tokens=2, cached_tokens=0).cache_read_tokens == 0


@pytest.mark.parametrize(
    "stated",
    [
        {"prompt_tokens_details": {"cached_tokens": 64}},
        {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
        {"num_cached_tokens": 64},
        {"cached_tokens": 64},
        {"cache_read_input_tokens": 64},
        {"prompt_tokens_details": {"cached_tokens": 64}, "prompt_cache_hit_tokens": 64},
        {"prompt_tokens_details": {"cached_tokens": 0}, "num_cached_tokens": 64},
        {"prompt_tokens_details": {"cached_tokens": None}, "cached_tokens": 64.0},
        {"prompt_tokens_details": {"cached_tokens": 80}, "cached_tokens": 64},
        {"input_tokens_details": {"cached_tokens": 64}},
        {"prompt_tokens_details": {"cache_read_tokens": 64}},
    ],
)
def test_cached_tokens_are_found_at_every_place_and_counted_once(stated: dict[str, object]) -> None:
    assert counted(prompt_tokens=100, completion_tokens=1, **stated).cache_read_tokens == 64


@pytest.mark.parametrize(
    "stated",
    [
        {"prompt_tokens_details": {"cache_write_tokens": 9}},
        {"cache_write_tokens": 9},
        {"cache_creation_input_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 7}},
        {"prompt_tokens_details": {"cache_creation_tokens": 9}},
        {"prompt_tokens_details": {"cached_creation_tokens": 9}},
        {"prompt_tokens_details": {"cache_creation_input_tokens": 9, "cache_type": "ephemeral"}},
        {"cache_creation_tokens": 9},
    ],
)
def test_written_tokens(stated: dict[str, object]) -> None:
    assert counted(prompt_tokens=100, completion_tokens=1, **stated).cache_write_tokens == 9


@pytest.mark.parametrize(
    ("stated", "usage"),
    [
        ({"input_tokens": 100, "output_tokens": 10}, Usage(100, 10)),
        ({"input_tokens": 100, "output_tokens": 10, "total_tokens": 110,
          "input_tokens_details": {"cached_tokens": 60}, "output_tokens_details": {"reasoning_tokens": 4}},
         Usage(100, 10, 60, None, 4)),
        ({"prompt_tokens": 100, "completion_tokens": 10, "input_tokens": 0, "output_tokens": 0}, Usage(100, 10)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 100, "output_tokens": 10}, Usage(100, 10)),
        ({"prompt_tokens": 100, "completion_tokens": 10, "input_tokens": 100, "output_tokens": 10}, Usage(100, 10)),
    ],
)  # fmt: skip
def test_the_other_names_of_both_sides(stated: dict[str, object], usage: Usage) -> None:
    assert counted(**stated) == usage


@pytest.mark.parametrize(
    ("stated", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200},
         Usage(1210, 5, 1000, 200)),
        ({"input_tokens": 2000, "output_tokens": 5, "cache_read_input_tokens": 1000}, Usage(3000, 5, 1000)),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "cache_read_input_tokens": 1000},
         Usage(1010, 5, 1000)),
        ({"input_tokens": 2000, "output_tokens": 5, "total_tokens": 2005, "cache_read_input_tokens": 1000},
         Usage(2000, 5, 1000)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015, "cache_read_input_tokens": 1000},
         Usage(1010, 5, 1000)),
        ({"prompt_tokens": 2000, "completion_tokens": 5, "cache_read_input_tokens": 1000}, Usage(2000, 5, 1000)),
    ],
    ids=["anthropic", "anthropic, less cached", "total without", "total says within", "total says apart", "within"],
)  # fmt: skip
def test_cached_tokens_that_the_input_does_not_include(stated: dict[str, object], usage: Usage) -> None:
    assert counted(**stated) == usage


def test_reasoning_beside_the_details() -> None:
    assert counted(prompt_tokens=100, completion_tokens=50, reasoning_tokens=20).reasoning_tokens == 20


def test_groq_states_usage_elsewhere_and_twice_counts_once() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "queue_time": 0.036}
    expected = Reported(Usage(12, 5), None, None)
    assert read_usage({"x_groq": {"id": "r", "usage": usage}}) == expected
    assert read_usage({"usage": None, "x_groq": {"usage": usage}}) == expected
    assert read_usage({"usage": usage, "x_groq": {"usage": usage}}) == expected


def test_the_last_of_cumulative_chunks_is_the_stream_s_usage() -> None:
    chunks: list[dict[str, Any]] = [{"choices": []}]
    chunks += [{"usage": {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 10 + n}} for n in range(1, 61)]
    chunks.append({"choices": [], "usage": None})
    reports = [report for chunk in chunks if (report := read_usage(chunk)) is not NOTHING]
    assert reports[-1].usage == Usage(10, 60)


# --- numbers that don't add up ---------------------------------------------------------------------------------------


def test_a_total_beyond_its_parts_is_thinking_and_billed_as_output() -> None:
    assert counted(prompt_tokens=35, completion_tokens=12, total_tokens=109) == Usage(35, 74)
    grok = counted(
        prompt_tokens=10120,
        completion_tokens=1499,
        total_tokens=14428,
        prompt_tokens_details={"cached_tokens": 128},
        completion_tokens_details={"reasoning_tokens": 2809},
    )
    assert grok == Usage(10120, 1499 + 2809, 128, None, 2809)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ({}, Usage(9, 576)),
        ({"prompt_audio_seconds": 0}, Usage(9, 576)),
        ({"prompt_audio_seconds": 30}, Usage(384, 201, by_modality=(("input", "audio", 375),))),
        ({"prompt_audio_seconds": 29.4}, Usage(384, 201, by_modality=(("input", "audio", 375),))),
        (
            {"prompt_tokens_details": {"audio_tokens": 375}},
            Usage(384, 201, by_modality=(("input", "audio", 375),)),
        ),
        (
            {"prompt_audio_seconds": 30, "prompt_tokens_details": {"cached_tokens": 368}},
            Usage(384, 201, 368, by_modality=(("input", "audio", 375),)),
        ),
    ],
)
def test_audio_that_the_prompt_omits(audio: dict[str, object], expected: Usage) -> None:
    assert counted(prompt_tokens=9, completion_tokens=201, total_tokens=585, **audio) == expected


def test_a_total_below_its_parts_is_not_used() -> None:
    reported = read(prompt_tokens=35, completion_tokens=12, total_tokens=40)
    assert reported.usage == Usage(35, 12)
    assert reported.problem == "total_tokens is 7 below the sum of prompt and completion tokens: not used"


def test_a_missing_side_follows_from_the_total() -> None:
    assert counted(prompt_tokens=35, total_tokens=47) == Usage(35, 12)
    assert counted(completion_tokens=12, total_tokens=47) == Usage(35, 12)


@pytest.mark.parametrize(("total", "output"), [(15, 11), (16, 11), (26, 21), (None, 21)])
def test_reasoning_above_completion_is_never_charged_below_the_larger(total: int | None, output: int) -> None:
    details = {"reasoning_tokens": 11}
    reported = read(prompt_tokens=5, completion_tokens=10, total_tokens=total, completion_tokens_details=details)
    assert reported.usage == Usage(5, output, reasoning_tokens=11)
    assert (reported.problem is None) == (total in (16, 26))
    if reported.problem:
        assert reported.problem == "reasoning_tokens (11) exceed completion_tokens (10)"


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        (
            {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 163}},
            "cached tokens (163) exceed prompt tokens (7)",
        ),
        ({"prompt_tokens": 347, "num_cached_tokens": 403}, "cached tokens (403) exceed prompt tokens (347)"),
        (
            {"prompt_tokens": 2168, "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161}},
            "cached and written tokens (4322) exceed prompt tokens (2168)",
        ),
        (
            {"prompt_tokens": 7, "prompt_tokens_details": {"image_tokens": 8}},
            "tokens by modality (8) exceed prompt tokens (7)",
        ),
        (
            {"prompt_tokens": 7, "completion_tokens_details": {"audio_tokens": 11}},
            "tokens by modality (11) exceed completion tokens (10)",
        ),
        ({"prompt_tokens": -1}, "prompt_tokens (-1) is not a count between 0 and 1000000000"),
        ({"prompt_tokens": 7, "cached_tokens": -5}, "cached_tokens (-5) is not a count between 0 and 1000000000"),
        ({"prompt_tokens": 10**9 + 1}, "prompt_tokens (1000000001) is not a count between 0 and 1000000000"),
        pytest.param(
            {"prompt_tokens": 10**5000},
            "prompt_tokens (an integer of more than 18 digits) is not a count between 0 and 1000000000",
            id="5,000 digits",
        ),
        ({}, "prompt_tokens (None) and completion_tokens (10) are not both counted"),
        ({"prompt_tokens": "7"}, "prompt_tokens ('7') and completion_tokens (10) are not both counted"),
        ({"prompt_tokens": True}, "prompt_tokens (True) and completion_tokens (10) are not both counted"),
        ({"prompt_tokens": 7.5}, "prompt_tokens (7.5) and completion_tokens (10) are not both counted"),
        ({"prompt_tokens": {"text": 7}}, "prompt_tokens (dict) and completion_tokens (10) are not both counted"),
        ({"total_tokens": 9}, "one side's tokens (10) exceed total_tokens (9)"),
        (
            {"prompt_tokens": 0, "completion_tokens": 0},
            "prompt_tokens (0) and completion_tokens (0): no answer takes no tokens",
        ),
    ],
)
def test_contradictions_are_refused_and_both_values_said(usage: dict[str, object], problem: str) -> None:
    assert read(**{"completion_tokens": 10, **usage}) == Reported(None, None, problem)


def test_integral_floats_count_and_what_is_no_count_is_ignored() -> None:
    usage = counted(
        prompt_tokens=20.0,
        completion_tokens=5,
        queue_time=0.25,
        is_byok=False,
        pricing="standard",
        server_tool_use={"web_search_requests": 3},
        prompt_tokens_details={"cached_tokens": "8", "audio_tokens": False, "text_tokens": 20, "extra": {"n": 1}},
        completion_tokens_details=["reasoning_tokens", 4],
    )
    assert usage == Usage(20, 5)


# --- anything at all -------------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "prompt_audio_seconds",
        "prompt_tokens_details",
        "completion_tokens_details",
        "cost",
        "total_cost",
        "cost_in_usd_ticks",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.dictionaries(_NAMES, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=10))
def test_no_usage_object_raises_and_what_is_reported_is_consistent(usage: dict[str, object]) -> None:
    reported = read_usage({"usage": usage})
    assert reported.stated_usd is None or reported.stated_usd >= 0
    if reported.usage is None:
        assert reported is NOTHING or reported.problem
        return
    counts = reported.usage
    assert counts.input_tokens is not None
    assert counts.output_tokens is not None
    assert 0 <= (counts.cache_read_tokens or 0) + (counts.cache_write_tokens or 0) <= counts.input_tokens
    assert 0 <= (counts.reasoning_tokens or 0) <= counts.output_tokens
