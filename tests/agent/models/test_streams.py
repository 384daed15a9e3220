"""The shapes of streams that real providers send: providers.md 12 to 17."""

from __future__ import annotations

import pytest

from agent.types import Json, ToolCall
from telemetry.usage import Usage
from tests.agent.models.raw_server import STOP, USAGE, answer, ask, body, chunk, stream, text, used

COUNTED = Usage(7, 3)


async def test_text_comes_in_pieces_and_is_the_reply() -> None:
    got = await ask(stream(chunk({"role": "assistant", "content": ""}), text("Hel"), text("lo"), STOP))
    assert got.shown == ["Hel", "lo"]
    assert got.replied.message.content == "Hello"
    assert (got.replied.finish_reasons, got.replied.response_id, got.replied.response_model) == (
        ("stop",),
        "c1",
        "m-2026",
    )
    assert got.replied.first_chunk is not None
    assert len(got.replied.chunk_gaps) == 3
    assert got.arrived.shown


@pytest.mark.parametrize(
    "more",
    [
        "data: {oops\n\n",
        'event: error\ndata: {"error":{"code":"x"}}\n\n',
        'data: {"error":{"code":"x"}}\n\n',
        "error: no\n\n",
    ],
)
async def test_what_follows_the_end_mark_is_not_read(more: str) -> None:
    got = await ask(stream(text("a"), STOP, used(USAGE), "data: [DONE]\n\n" + more, more, done=False))
    assert (got.replied.message.content, got.replied.usage) == ("a", COUNTED)


async def test_garbage_after_a_finish_reason_takes_nothing_back() -> None:
    got = await ask(stream(text("a"), chunk({}, "stop", usage=USAGE), "data: {oops\n\n", done=False))
    assert (got.replied.message.content, got.replied.usage) == ("a", COUNTED)


async def test_an_error_that_says_nothing_is_none() -> None:
    none: Json = {"code": 0, "message": "", "type": None}
    got = await ask(stream(chunk({"content": "a"}, error=none), chunk({"content": "b"}, error={}), STOP))
    assert got.replied.message.content == "ab"


@pytest.mark.parametrize("reason", ["stop", "eos", "", None, "tool_calls", "error"])
async def test_an_empty_reply_is_a_failure_that_is_billed(reason: str | None) -> None:
    failure = (await ask(stream(chunk({"role": "assistant", "content": ""}), chunk({}, reason), used(USAGE)))).failed
    assert (failure.kind, failure.error_type, failure.billed, failure.shown) == (
        "malformed",
        "empty_reply",
        "maybe",
        False,
    )
    assert failure.reply is not None
    assert (failure.reply.usage, failure.reply.finish_reasons) == (COUNTED, (reason or "error",))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("SAFETY", "content_filter"),
        ("refusal", "content_filter"),
    ],
)
async def test_a_reply_whose_reason_says_why_it_is_empty(reason: str, told: str) -> None:
    assert (await ask(stream(chunk({}, reason)))).replied.finish_reasons == (told,)


@pytest.mark.parametrize(
    "content",
    [{"type": "text", "text": "No."}, {"text": "No."}, [{"type": "refusal", "refusal": "No."}]],
    ids=["an object", "an object without type", "a refusal"],
)
async def test_content_as_one_part(content: Json) -> None:
    assert (await ask(stream(chunk({"content": content}), STOP))).shown == ["No."]
    assert (await ask(answer(body({"content": content})), streamed=False)).shown == ["No."]


async def test_error_chunk_keeps_its_usage_and_what_was_shown() -> None:
    error: Json = {"error": {"message": "upstream died", "code": 502}, "usage": USAGE, "choices": []}
    failure = (await ask(stream(text("Hel"), error))).failed
    assert (failure.kind, failure.error_type, failure.status) == ("server_error", "http_502", 502)
    assert (failure.billed, failure.shown, failure.message) == ("maybe", True, "upstream died")
    assert failure.reply is not None
    assert (failure.reply.message.content, failure.reply.usage) == ("Hel", COUNTED)


async def test_error_event_after_200() -> None:
    event = 'event: error\ndata: {"code":"server_overloaded","message":"busy"}\n\n'
    failure = (await ask(stream(text("x"), event, done=False))).failed
    assert (failure.kind, failure.error_type, failure.message) == ("server_error", "server_overloaded", "busy")


async def test_error_event_of_plain_text() -> None:
    failure = (await ask(stream("event: error\ndata: it broke\n\n", done=False))).failed
    assert (failure.kind, failure.message, failure.shown, failure.reply) == ("server_error", "it broke", False, None)


async def test_error_field_is_no_clean_end() -> None:
    failure = (await ask(stream(text("x"), 'error: {"error":{"type":"internal"}}\n\n', done=False))).failed
    assert (failure.kind, failure.error_type) == ("server_error", "internal")


async def test_error_in_the_first_choice() -> None:
    last: Json = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": {"code": 429}}]}
    failure = (await ask(stream(last))).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("rate_limit", "http_429", "no")


async def test_a_stream_without_finish_reason_and_done_is_truncated() -> None:
    failure = (await ask(stream(text("Hel"), done=False))).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("malformed", "stream_truncated", "maybe")
    assert failure.reply is not None
    assert failure.reply.message.content == "Hel"


async def test_one_of_finish_reason_and_done_is_enough() -> None:
    assert (await ask(stream(text("x"), STOP, done=False))).replied.finish_reasons == ("stop",)
    assert (await ask(stream(text("x")))).replied.finish_reasons == ("error",)


async def test_connection_lost_in_the_middle() -> None:
    failure = (await ask(stream(text("Hel"), done=False, end=False), then="close")).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("connection", "ClientPayloadError", "maybe")
    assert failure.reply is not None
    assert failure.reply.message.content == "Hel"
    assert failure.shown


async def test_connection_lost_after_the_answer_is_an_answer() -> None:
    assert (await ask(stream(text("x"), STOP, done=False, end=False), then="close")).replied.message.content == "x"


@pytest.mark.parametrize(
    ("reason", "told"), [("", "error"), (None, "error"), ("eos", "eos"), ("function_call", "function_call")]
)
async def test_tool_calls_count_whatever_the_finish_reason(reason: str | None, told: str) -> None:
    call: Json = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    got = await ask(stream(chunk({"tool_calls": [call]}, reason)))
    assert got.replied.message.tool_calls == (ToolCall("a", "f", "{}"),)
    assert got.replied.finish_reasons == (told,)


async def test_repeated_finish_reason_is_one() -> None:
    assert (await ask(stream(text("x"), STOP, STOP))).replied.finish_reasons == ("stop",)


async def test_only_the_first_choice_even_where_both_have_its_index() -> None:
    def two(first: str, second: str, index: int) -> Json:
        return {
            "choices": [
                {"index": 0, "delta": {"content": first}},
                {"index": index, "delta": {"content": second}, "finish_reason": "stop"},
            ]
        }

    for index in (0, 1):
        got = await ask(stream(two("a", "x", index), two("b", "y", index)))
        assert got.replied.message.content == "ab"


async def test_only_the_first_choice_where_each_has_its_chunks() -> None:
    second: Json = {"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    got = await ask(stream(text("a"), second, text("b"), done=False))
    assert (got.shown, got.failed.error_type) == (["a", "b"], "stream_truncated")


async def test_azure() -> None:
    first: Json = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    filtered: Json = {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {"hate": {}}}]}
    got = await ask(stream(first, text("x"), filtered, STOP, {"model": "", "choices": []}))
    assert (got.replied.message.content, got.replied.response_model, got.replied.response_id) == ("x", "m-2026", "c1")


async def test_200_with_nothing_but_an_error() -> None:
    error: Json = {"error": {"code": "InternalServerError", "message": "no"}}
    for content in (answer(error), answer(error, content_type="text/event-stream"), stream(error, done=False)):
        failed = (await ask(content)).failure
        assert failed is not None
        assert failed.billed == "maybe"
    assert (await ask(answer(error))).failed.error_type == "internalservererror"


async def test_lines_as_they_come() -> None:
    hello = '{"choices":[{"delta":{"content":"a"}}]}'
    lines = [
        f" data: {hello}\n\n",
        f"data:{hello}\r\n\r\n",
        ": keep-alive\n\n",
        "id: 7\n\n",
        "\n\n",
        f"data: {hello}\n",
        f"data: {hello}\n\n",
        'data: {"choices":\ndata: [{"delta":{"content":"b"}}]}\n\n',
        "data:\n\n",
        "\ufeffdata: " + hello + "\n\n",
    ]
    got = await ask(stream(*lines, STOP, done=False))
    assert got.replied.message.content == "aaaaba"


async def test_last_line_without_a_line_break() -> None:
    assert (await ask(stream(text("x"), "data: [DONE]", done=False))).replied.message.content == "x"


async def test_data_that_is_not_json() -> None:
    failure = (await ask(stream(text("x"), "data: {oops\n\n", STOP))).failed
    assert (failure.kind, failure.error_type, failure.message) == ("malformed", "bad_event", "{oops")
    assert failure.reply is not None


async def test_message_beside_delta_is_not_added() -> None:
    beside: Json = {"choices": [{"delta": {"content": "b"}, "message": {"content": "ab"}, "finish_reason": "stop"}]}
    instead: Json = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert (await ask(stream(text("a"), beside))).replied.message.content == "ab"
    assert (await ask(stream(text("a"), text("b"), instead))).replied.message.content == "ab"
    assert (await ask(stream(instead))).replied.message.content == "ab"


async def test_ids_that_change() -> None:
    assert (await ask(stream(text("a"), chunk({}, "stop", id="c2")))).replied.response_id == "c1"


@pytest.mark.parametrize("content", [[{"type": "text", "text": "a"}], "a", ["a"], [{"text": "a"}]])
async def test_content_in_parts(content: Json) -> None:
    thought: Json = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [thought, *content] if isinstance(content, list) else content
    got = await ask(stream(chunk({"content": parts}), chunk({"content": None}), chunk({"role": "assistant"}), STOP))
    assert (got.replied.message.content, got.shown) == ("a", ["a"])


async def test_thoughts_are_not_shown() -> None:
    got = await ask(stream(chunk({"reasoning_content": "hm", "content": None}), text("a"), STOP))
    assert got.shown == ["a"]


async def test_refusal_is_the_text() -> None:
    got = await ask(stream(chunk({"refusal": "I can"}), chunk({"refusal": "not"}), STOP))
    assert (got.replied.message.content, got.shown) == ("I cannot", ["I can", "not"])


async def test_half_characters_are_replaced() -> None:
    got = await ask(stream(text("a\ud83d"), text("\ude00"), STOP))
    assert got.replied.message.content == "a\ufffd\ufffd"
    bad = stream(text("a"), STOP).replace(b'"content": "a"', b'"content": "\xff"')
    assert (await ask(bad)).replied.message.content == "\ufffd"


async def test_a_whole_body_where_a_stream_was_asked_for() -> None:
    got = await ask(answer(body({"content": "Hello"}, usage=USAGE)))
    assert (got.shown, got.replied.usage) == (["Hello"], COUNTED)
    assert got.replied.first_chunk


async def test_a_stream_that_is_mislabelled_or_was_not_asked_for() -> None:
    mislabelled = stream(text("x"), STOP).replace(b"text/event-stream", b"text/plain")
    assert (await ask(mislabelled)).replied.message.content == "x"
    assert (await ask(stream(text("x"), STOP), streamed=False)).replied.message.content == "x"


async def test_only_done_is_no_answer() -> None:
    assert (await ask(stream())).failed.error_type == "no_choices"
