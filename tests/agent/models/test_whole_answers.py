"""Unstreamed answers: the same shapes, the same replies."""

from __future__ import annotations

import gzip
from decimal import Decimal

import pytest

from agent.models import transport
from agent.types import Json, ToolCall
from telemetry.usage import Usage
from tests.agent.models.raw_server import USAGE, Outcome, answer, ask, body


async def whole(content: Json) -> Outcome:
    return await ask(answer(content), streamed=False)


async def test_a_reply() -> None:
    message: Json = {"role": "assistant", "content": "Hello"}
    got = await whole(body(message, usage=USAGE, service_tier="flex", system_fingerprint="fp"))
    reply = got.replied
    assert (reply.message.content, reply.finish_reasons, reply.usage) == ("Hello", ("stop",), Usage(7, 3))
    assert (reply.service_tier, reply.system_fingerprint, reply.first_chunk, reply.chunk_gaps) == (
        "flex",
        "fp",
        None,
        (),
    )
    assert got.shown == ["Hello"]


async def test_nothing_is_shown_for_empty_text() -> None:
    contents: tuple[Json, ...] = ("", None, [])
    for content in contents:
        got = await whole(body({"content": content}, "length"))
        assert (got.shown, got.replied.finish_reasons, got.arrived.shown) == ([], ("length",), False)


async def test_stated_cost() -> None:
    usage: Json = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "cost": 0.25}
    assert (await whole(body({"content": "x"}, usage=usage))).replied.stated_usd == Decimal("0.25")


async def test_the_same_call_twice_is_one_and_ids_are_unique() -> None:
    def call(identity: str, arguments: str) -> Json:
        return {"id": identity, "type": "function", "function": {"name": "f", "arguments": arguments}}

    calls: Json = [call("0", '{"a":1}'), call("0", '{"a":1}'), call("0", '{"a":2}'), call("", "{}"), call("", "{}")]
    got = await whole(body({"content": None, "tool_calls": calls}, "tool_calls"))
    assert got.replied.message.tool_calls == (
        ToolCall("0", "f", '{"a":1}'),
        ToolCall("call_1", "f", '{"a":2}'),
        ToolCall("call_2", "f", "{}"),
        ToolCall("call_3", "f", "{}"),
    )


@pytest.mark.parametrize("index", [0, 1])
async def test_the_first_of_two_choices(index: int) -> None:
    content = body({"content": "first"})
    assert isinstance(content, dict)
    assert isinstance(content["choices"], list)
    content["choices"].append({"index": index, "message": {"content": "second"}, "finish_reason": "stop"})
    assert (await whole(content)).replied.message.content == "first"


async def test_content_filter_choice_without_a_message() -> None:
    got = await whole({"choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": {}}]})
    assert (got.replied.finish_reasons, got.replied.message.content) == (("content_filter",), "")


async def test_refusal() -> None:
    assert (await whole(body({"content": None, "refusal": "No."}))).replied.message.content == "No."


async def test_missing_finish_reason_is_told_as_error() -> None:
    assert (await whole(body({"content": "x"}, None))).replied.finish_reasons == ("error",)


async def test_200_with_an_error() -> None:
    failure = (await whole({"error": {"message": "quota", "code": "insufficient_quota"}, "usage": USAGE})).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("rate_limit", "insufficient_quota", "maybe")
    assert failure.reply is not None
    assert failure.reply.usage == Usage(7, 3)


@pytest.mark.parametrize(
    ("content", "error_type"),
    [
        (b"<html>hello</html>", "not_json"),
        (b"", "not_json"),
        (b"[1]", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"choices": 1' + b"0" * 5000 + b"}", "no_choices"),
        (b'{"choices": []}', "no_choices"),
        (b'{"object": "chat.completion"}', "no_choices"),
        (b'{"choices": [null, 7]}', "no_choices"),
    ],
)
async def test_what_is_no_answer_is_malformed(content: bytes, error_type: str) -> None:
    failure = (await ask(answer(content), streamed=False)).failed
    assert failure.kind == "malformed"
    assert failure.error_type in (error_type, "not_json")
    assert failure.billed == "maybe"


async def test_no_choices_keeps_its_usage() -> None:
    failure = (await whole({"choices": [], "usage": USAGE})).failed
    assert failure.reply is not None
    assert failure.reply.usage == Usage(7, 3)


async def test_members_of_wrong_types_do_no_harm() -> None:
    message: Json = {"content": 7, "tool_calls": [3, {"function": None}, {"function": {"name": 5}}], "refusal": {}}
    failure = (
        await whole({"id": 1, "model": None, "choices": [{"index": "x", "message": message, "finish_reason": 4}]})
    ).failed
    assert failure.error_type == "empty_reply"
    assert failure.reply is not None
    assert (failure.reply.message.content, failure.reply.message.tool_calls) == ("", ())


@pytest.mark.parametrize("usage", [None, USAGE])
async def test_an_empty_reply_is_a_failure_that_keeps_its_reply(usage: Json) -> None:
    contents: tuple[Json, ...] = ("", None, [], [{"type": "thinking", "thinking": "hm"}])
    for content in contents:
        failure = (await whole(body({"content": content, "reasoning_content": "hm"}, usage=usage))).failed
        assert (failure.kind, failure.error_type) == ("malformed", "empty_reply")
        assert failure.reply is not None
        assert failure.reply.usage == (Usage(7, 3) if usage else None)


@pytest.mark.parametrize(
    "calls",
    [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        [{"id": "a", "type": "function", "name": "f", "arguments": '{"x":1}'}],
        [{"id": "a", "name": "f", "arguments": {"x": 1}}],
        [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '"{\\"x\\":1}"'}}],
    ],
    ids=["one object", "flat", "flat, an object", "encoded twice"],
)
async def test_a_call_in_another_dress(calls: Json) -> None:
    got = await whole(body({"content": None, "tool_calls": calls}, "tool_calls"))
    assert got.replied.message.tool_calls == (ToolCall("a", "f", '{"x":1}'),)


async def test_a_200_whose_error_is_wrapped_in_a_list() -> None:
    failure = (await whole([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}])).failed
    assert (failure.kind, failure.error_type, failure.message) == ("server_error", "unavailable", "busy")


async def test_a_compressed_body() -> None:
    content = gzip.compress(b'{"choices":[{"message":{"content":"x"}}]}')
    assert (await ask(answer(content, "content-encoding: gzip"), streamed=False)).replied.message.content == "x"
    assert (await ask(answer(b"junk", "content-encoding: gzip"), streamed=False)).failed.billed == "maybe"


async def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 1000)
    failure = (await whole(body({"content": "x" * 1000}))).failed
    assert (failure.kind, failure.error_type) == ("malformed", "AnswerTooLarge")
