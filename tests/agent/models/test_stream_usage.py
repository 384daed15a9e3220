"""Where streams state their usage, and what they say first and last: providers.md 12."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.types import Json
from telemetry.usage import Usage
from tests.agent.models.raw_server import STOP, USAGE, ask, chunk, stream, text, used

COUNTED = Usage(7, 3)


@pytest.mark.parametrize(
    "chunks",
    [
        [STOP, {"choices": [], "usage": USAGE}],
        [STOP, {"choices": [], "usage": USAGE, "x_groq": {"usage": USAGE}}],
        [chunk({}, "stop", x_groq={"id": "req", "usage": USAGE})],
        [chunk({}, "stop", usage=USAGE)],
        [STOP, {"choices": [], "usage": USAGE}, {"choices": [], "usage": None}],
        [{**STOP, "choices": [{**STOP["choices"][0], "usage": USAGE}]}],  # type: ignore[dict-item, index, call-overload]
    ],
    ids=["alone", "twice", "groq", "with choices", "then null", "in the choice"],
)
async def test_usage_wherever_it_stands(chunks: list[Json]) -> None:
    got = await ask(stream(chunk({"content": "x"}, x_groq={"id": "req"}), *chunks))
    assert got.replied.usage == COUNTED


async def test_usage_in_every_chunk_is_cumulative() -> None:
    usages: list[Json] = [{"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n} for n in (1, 2, 3)]
    got = await ask(stream(*[chunk({"content": "x"}, usage=usage) for usage in usages], STOP))
    assert got.replied.usage == COUNTED


STATED: dict[str, Json] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
NULLS: Json = dict.fromkeys(STATED)
ZEROS: Json = dict.fromkeys(STATED, 0)


@pytest.mark.parametrize("ending", ["cut", "no end mark", "error"])
async def test_counts_before_the_answer_are_not_what_a_broken_stream_cost(ending: str) -> None:
    began = [used({"prompt_tokens": 100, "completion_tokens": 0}), text("Hel")]
    if ending == "error":
        began.append({"error": {"code": 502, "message": "gone"}, "usage": ZEROS})
    cut = ending == "cut"
    failure = (await ask(stream(*began, done=False, end=not cut), then="close" if cut else "keep")).failed
    assert failure.reply is not None
    assert (failure.reply.message.content, failure.reply.usage, failure.reply.usage_stated) == ("Hel", None, False)
    assert failure.billed == "maybe"


@pytest.mark.parametrize("delta", [{"content": "a"}, {"reasoning_content": "hm"}, {"reasoning": "hm"}])
async def test_counts_before_the_answer_are_not_those_of_a_whole_one_either(delta: Json) -> None:
    began = [used({"prompt_tokens": 100, "completion_tokens": 0}), chunk(delta), chunk({"role": "assistant"}, "length")]
    for more in ([], [used(ZEROS)], [used(NULLS)]):
        got = await ask(stream(*began, *more))
        assert (got.replied.usage, got.replied.usage_stated) == (None, False)
    got = await ask(stream(*began, used({"completion_tokens": 10})))
    assert got.replied.usage == Usage(100, 10)


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        (STATED, NULLS, Usage(100, 10)),
        (STATED, ZEROS, Usage(100, 10)),
        (STATED, {"prompt_tokens": 0, "prompt_tokens_details": None}, Usage(100, 10)),
        ({**STATED, "prompt_tokens_details": {"cached_tokens": 60}},
         {**STATED, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(100, 10, 60)),
        ({**STATED, "prompt_tokens_details": {"cached_tokens": 60}},
         {"completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": None}}, Usage(100, 20, 60)),
        ({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100},
         {"prompt_tokens": 0, "completion_tokens": 10, "total_tokens": 10}, Usage(100, 10)),
        ({"prompt_tokens": 100}, {"completion_tokens": 10}, Usage(100, 10)),
        ({"input_tokens": 100, "output_tokens": 1, "cache_read_input_tokens": 50}, {"output_tokens": 10},
         Usage(150, 10, 50)),
        ({"prompt_tokens": 5, "cached_tokens": 60}, STATED, Usage(100, 10, 60)),
        ({"prompt_tokens": 5, "cached_tokens": 600}, STATED, Usage(100, 10)),
    ],
    ids=["nulls", "zeros", "zero prompt", "cached zero", "cached null", "two halves", "two sides", "anthropic",
         "cached first", "contradiction"],
)  # fmt: skip
async def test_a_later_usage_takes_nothing_back(first: Json, last: Json, usage: Usage) -> None:
    got = await ask(stream(chunk({"content": "a"}, usage=first), STOP, used(last)))
    assert (got.replied.usage, got.replied.usage_stated) == (usage, True)


async def test_a_cost_stated_before_the_last_counts_is_kept() -> None:
    got = await ask(stream(text("a"), STOP, used({"cost": 0.5}), used(STATED), used(NULLS)))
    assert (got.replied.usage, got.replied.stated_usd) == (Usage(100, 10), Decimal("0.5"))


async def test_a_usage_of_nulls_states_nothing() -> None:
    assert not (await ask(stream(text("a"), STOP, used(NULLS)))).replied.usage_stated


async def test_no_usage_is_unknown() -> None:
    assert (await ask(stream(text("x"), STOP))).replied.usage is None
