"""What real providers stream, and the odd messages in it, each through a whole turn.

Each test names its number in the list of what real providers send. A stream that breaks off is charged at its bound.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.stories.chunks import BOTH, HEAD, HELLO, NULLS, STOP, USED, ZEROS, chunk, played
from tests.support import desk
from tests.support.stage import ANSWERED_BY, COUNTS, NANO_COUNTS, answer, call, calls, events, stage

OUTPUT = {"completion_tokens": 10, "total_tokens": 10}
LESS = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
ERROR = {"error": {"message": "Upstream is gone.", "code": 502}}


@pytest.mark.parametrize(
    "chunks",
    [
        [HELLO, {**STOP, "x_groq": {"id": "req", "usage": COUNTS}}],
        [HELLO, {**STOP, "x_groq": {"usage": COUNTS}, "usage": COUNTS}],
        [{**HELLO, "usage": LESS}, {**STOP, "usage": COUNTS}],
        [{**HELLO, "usage": LESS}, {**STOP, "usage": LESS}, USED],
        [HELLO, {**STOP, "usage": COUNTS}],
        [HELLO, STOP, USED],
        [HELLO, STOP, {**USED, "choices": None}],
        [HELLO, STOP, USED, {**HEAD, "choices": [], "usage": None}],
        [HELLO, STOP, USED, {**HEAD, "choices": [], "usage": {}}],
        [HELLO, {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": COUNTS}]}],
        [HELLO, STOP, USED, {**USED, "usage": NULLS}],
        [HELLO, STOP, USED, {**USED, "usage": ZEROS}],
        [{**USED, "usage": {"prompt_tokens": 100}}, HELLO, STOP, {**USED, "usage": {"completion_tokens": 10}}],
        [{**USED, "usage": {**ZEROS, "prompt_tokens": 100}}, HELLO, {**STOP, "usage": {**ZEROS, **OUTPUT}}],
        [HELLO, STOP, {**USED, "usage": {"input_tokens": 100, "output_tokens": 10}}],
        [HELLO, STOP, USED, "data: [DONE]", "data: {oops", 'event: error\ndata: {"error": {"code": "x"}}'],
        [{**HELLO, "error": {"code": 0, "message": ""}}, STOP, USED],
    ],
    ids=[
        "groq",
        "twice",
        "cumulative",
        "cumulative, alone",
        "with choices",
        "alone",
        "no list",
        "null",
        "{}",
        "choice",
        "nulls",
        "zeros",
        "two sides",
        "two sides, zeros",
        "other names",
        "more after the end",
        "an error that is none",
    ],
)
async def test_12_usage_wherever_it_stands(tmp_path: Path, chunks: list[object]) -> None:
    seen = await played(tmp_path, events(*chunks))
    assert (seen.result.outcome, seen.result.text) == ("answered", "Hello")
    assert seen.booked("input_tokens", "output_tokens", "cost", "quality") == [(100, 10, NANO_COUNTS, "measured")]
    assert seen.chat.attributes["gen_ai.usage.output_tokens"] == 10


@BOTH
async def test_12_no_usage_though_it_was_asked_for(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, Fault("no_usage"), stream=stream)
    first = seen.ledger[0]
    assert (seen.result.outcome, first["quality"], first["cost"]) == ("answered", "estimated", first["bound"])
    assert "gen_ai.usage.input_tokens" not in seen.chats[0].attributes


async def test_13_an_error_chunk_with_usage_is_paid_as_it_says(tmp_path: Path) -> None:
    seen = await played(tmp_path, events(HELLO, {**HEAD, **ERROR, "choices": [], "usage": COUNTS}, done=False))
    assert (seen.result.outcome, seen.shown) == ("provider_failed", "Hello")
    assert seen.booked("cost", "quality", "outcome") == [(NANO_COUNTS, "measured", "http_502")]
    assert seen.chat.status == "ERROR"


@pytest.mark.parametrize(
    ("last", "error_type"),
    [
        ('event: error\ndata: {"error": {"message": "no", "code": "overloaded_error"}}', "overloaded_error"),
        ("event: error\ndata: upstream connect error", "error_in_answer"),
        ('error: {"message": "no", "code": "server_error"}', "server_error"),
        (chunk(error={"message": "no", "code": 500}), "http_500"),
        ({"choices": [{"index": 0, "error": {"message": "no", "code": "server_error"}}]}, "server_error"),
        ({"error": "just words"}, "error_in_answer"),
        (": that is all", "stream_truncated"),
    ],
    ids=["event", "event of text", "field", "chunk", "choice", "words", "nothing"],
)
async def test_13_an_error_after_200_is_no_answer(tmp_path: Path, last: object, error_type: str) -> None:
    seen = await played(tmp_path, events(HELLO, last, done=False))
    assert (seen.result.outcome, seen.result.text, seen.shown) == ("provider_failed", None, "Hello")
    assert seen.booked("outcome", "quality") == [(error_type, "estimated")]
    assert seen.row["cost"] == seen.row["bound"]
    assert (seen.chat.status, seen.agent.status) == ("ERROR", "ERROR")


async def test_13_counts_so_far_are_not_what_a_broken_stream_cost(tmp_path: Path) -> None:
    """Usage is in every chunk, and the connection ends before the last one."""
    seen = await played(tmp_path, events({**HELLO, "usage": LESS}, chunk({"content": " you"}), done=False))
    assert seen.row["cost"] == seen.row["bound"]
    assert seen.booked("quality", "outcome") == [("estimated", "stream_truncated")]


async def test_13_the_prompt_counted_before_the_answer_is_not_what_a_broken_stream_cost(tmp_path: Path) -> None:
    seen = await played(tmp_path, events({**USED, "usage": {**ZEROS, "prompt_tokens": 100}}, HELLO, done=False))
    assert seen.row["cost"] == seen.row["bound"]
    assert seen.booked("quality", "outcome", "input_tokens") == [("estimated", "stream_truncated", None)]
    assert "gen_ai.usage.input_tokens" not in seen.chat.attributes


@BOTH
async def test_11_an_empty_reply_is_paid_tried_again_and_handed_on(tmp_path: Path, stream: bool) -> None:
    empty = answer(stream, text="")
    async with stage(tmp_path, chain={"other": {}}) as on:
        seen = await on.turn(empty, answer(stream), stream=stream)
        assert (seen.result.outcome, seen.retries) == ("answered", ["empty_reply"])
        seen = await on.turn(empty, empty, empty, answer(stream), stream=stream)
    assert (seen.result.outcome, seen.result.models) == ("answered", ("other",))
    assert seen.booked("outcome", "cost", "quality")[:3] == [("empty_reply", NANO_COUNTS, "measured")] * 3
    assert seen.chats[0].status == "ERROR"
    assert seen.chats[0].attributes["error.type"] == "empty_reply"


@BOTH
async def test_11_all_output_is_reasoning_and_asking_again_would_not_help(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, answer(stream, text="", finish="max_tokens"), stream=stream)
    assert (seen.result.outcome, seen.row["cost"]) == ("limit_tokens", NANO_COUNTS)


@BOTH
@pytest.mark.parametrize("finish", [None, "", "eos", "function_call", "stop", "tool_calls"])
async def test_14_whether_there_are_tool_calls_decides(tmp_path: Path, stream: bool, finish: str | None) -> None:
    asked = calls(stream, call("search_kb", '{"query": "wifi"}'), finish=finish)
    seen = await played(tmp_path, asked, answer(stream), stream=stream)
    assert seen.result.outcome == "answered"
    assert desk.RUNS["search_kb", "wifi"] == 1
    assert seen.chats[0].attributes["gen_ai.response.finish_reasons"] == [finish or "error"]


@BOTH
@pytest.mark.parametrize("finish", [None, "eos", "function_call"])
async def test_14_text_without_a_known_reason_is_an_answer(tmp_path: Path, stream: bool, finish: str | None) -> None:
    seen = await played(tmp_path, answer(stream, finish=finish), stream=stream)
    assert (seen.result.outcome, seen.result.text) == ("answered", "Turn it off and on again.")
    assert seen.chat.attributes["gen_ai.response.finish_reasons"] == [finish or "error"]


async def test_14_a_repeated_reason_is_one(tmp_path: Path) -> None:
    seen = await played(tmp_path, events(HELLO, STOP, STOP, chunk(finish=""), USED))
    assert seen.chat.attributes["gen_ai.response.finish_reasons"] == ["stop"]


@BOTH
async def test_15_of_two_choices_of_one_index_the_first_counts(tmp_path: Path, stream: bool) -> None:
    part = "delta" if stream else "message"
    choices = [{"index": 0, part: {"content": word}, "finish_reason": "stop"} for word in ("first", "second")]
    body = {**HEAD, "choices": choices, "usage": COUNTS}
    seen = await played(tmp_path, events(body) if stream else Fault.raw_json(body), stream=stream)
    assert (seen.result.text, seen.row["cost"]) == ("first", NANO_COUNTS)


async def test_16_azure_streams(tmp_path: Path) -> None:
    filtered = {"hate": {"filtered": False, "severity": "safe"}}
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"content_filter_results": filtered}]}
    bare = {**HEAD, "choices": [{"index": 0, "finish_reason": None, "content_filter_results": filtered}]}
    seen = await played(tmp_path, events(first, HELLO, bare, STOP, {**USED, "model": ""}))
    assert (seen.result.text, seen.row["response_model"], seen.row["cost"]) == ("Hello", ANSWERED_BY, NANO_COUNTS)


@BOTH
async def test_16_a_filtered_choice_has_no_message(tmp_path: Path, stream: bool) -> None:
    body = {**HEAD, "choices": [{"index": 0, "finish_reason": "content_filter"}], "usage": COUNTS}
    seen = await played(tmp_path, events(body) if stream else Fault.raw_json(body), stream=stream)
    assert (seen.result.outcome, seen.row["cost"]) == ("content_filtered", NANO_COUNTS)


@BOTH
async def test_16_200_with_nothing_but_an_error(tmp_path: Path, stream: bool) -> None:
    seen = await played(tmp_path, Fault.raw_json(ERROR), stream=stream)
    assert (seen.result.outcome, seen.row["outcome"], seen.row["quality"]) == ("provider_failed", "http_502", "unknown")
    assert seen.row["cost"] == seen.row["bound"]


def lines(text: str) -> Fault:
    return Fault.raw_stream([text.encode()])


GOOD = ['{"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}]}']
GOOD += ['{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}']
GOOD += ['{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}']


@pytest.mark.parametrize(
    "text",
    [
        "".join(f" data: {line}\n\n" for line in GOOD) + " data: [DONE]\n\n",
        "".join(f"data: {line}\r\n\r\n" for line in GOOD) + "data: [DONE]\r\n\r\n",
        ": OPENROUTER PROCESSING\n\n" + "".join(f": ping\n\ndata:{line}\n\n" for line in GOOD) + "data:[DONE]\n\n",
        "".join(f"data: {line}\n\n" for line in GOOD),
        "".join(f"id: {n}\nevent: message\nretry: 10\ndata: {line}\n\n" for n, line in enumerate(GOOD)),
        "".join(f"data: {line}\n" for line in GOOD) + "data: [DONE]",
        "\ufeff" + "".join(f"data: {line}\n\n" for line in GOOD),
        "".join("".join(f"data: {part}\n" for part in line.replace(", ", ",\n").split("\n")) + "\n" for line in GOOD),
    ],
    ids=["leading space", "CRLF", "comments", "no DONE", "fields", "no blank lines", "BOM", "several lines"],
)
@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain", "application/json"])
async def test_17_lines_as_they_come(tmp_path: Path, text: str, kind: str) -> None:
    fault = Fault("raw", headers={"content-type": kind}, raw=lines(text).raw)
    seen = await played(tmp_path, fault)
    assert (seen.result.outcome, seen.result.text, seen.row["cost"]) == ("answered", "Hello", NANO_COUNTS)


@BOTH
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream", "application/octet-stream"])
async def test_17_a_whole_body_under_any_name(tmp_path: Path, stream: bool, kind: str) -> None:
    body = answer(False).raw
    seen = await played(tmp_path, Fault("raw", headers={"content-type": kind}, raw=body), stream=stream)
    assert (seen.result.outcome, seen.result.text, seen.row["cost"]) == (
        "answered",
        "Turn it off and on again.",
        NANO_COUNTS,
    )


async def test_17_a_stream_that_nobody_asked_for(tmp_path: Path) -> None:
    seen = await played(tmp_path, answer(True), stream=False)
    assert (seen.result.outcome, seen.row["cost"]) == ("answered", NANO_COUNTS)
    assert "gen_ai.response.time_to_first_chunk" not in seen.chat.attributes


async def test_17_message_beside_delta_and_ids_that_change(tmp_path: Path) -> None:
    beside = {"index": 0, "delta": {"content": "Hello"}, "message": {"content": "Hello"}, "finish_reason": None}
    chunks = [
        {"id": "a", "choices": [beside]},
        {"id": "b", "choices": [beside]},
        {**STOP, "id": "c"},
        {**USED, "id": ""},
    ]
    seen = await played(tmp_path, events(*chunks))
    assert (seen.result.text, seen.chat.attributes["gen_ai.response.id"]) == ("HelloHello", "a")


@BOTH
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], "Hello"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}], "Hi"),
        (["Hel", "lo"], "Hello"),
        ({"type": "text", "text": "Hello"}, "Hello"),
        ([{"type": "refusal", "refusal": "No."}], "No."),
    ],
    ids=["parts", "thoughts", "strings", "an object", "a refusal"],
)
async def test_17_content_as_parts(tmp_path: Path, stream: bool, content: object, text: str) -> None:
    part = "delta" if stream else "message"
    body = {**HEAD, "choices": [{"index": 0, part: {"content": content}, "finish_reason": "stop"}], "usage": COUNTS}
    seen = await played(tmp_path, events(body) if stream else Fault.raw_json(body), stream=stream)
    assert (seen.result.outcome, seen.result.text) == ("answered", text)
