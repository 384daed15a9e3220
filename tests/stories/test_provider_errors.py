"""How real providers say that something is wrong, and the text that breaks them, each through a whole turn.

Numbers 18 and 19 of the list of what real providers send.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.support.stage import NANO_COUNTS, answer, call, calls, stage

pytestmark = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])

LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ({"error": {"message": "no", "code": 400}}, "http_400"),
        ({"error": {"message": "no", "code": "invalid_value"}}, "invalid_value"),
        ({"error": {"message": "no", "code": None, "type": "invalid_request_error"}}, "invalid_request_error"),
        ({"error": {"message": "no"}}, "http_400"),
        ({"error": "no"}, "http_400"),
        ({"detail": "no"}, "http_400"),
        ({"detail": [{"loc": ["body", "model"], "msg": "no", "type": "value_error"}]}, "http_400"),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, "badrequesterror"),
        ([{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}], "invalid_argument"),
        ("no", "http_400"),
        (None, "http_400"),
        ([], "http_400"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_18_an_error_in_any_form_ends_the_turn_in_words(
    tmp_path: Path, stream: bool, body: object, error_type: str
) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault.raw_json(body, 400), stream=stream)
    assert (seen.result.outcome, seen.result.reason) == ("provider_failed", f"small: bad_request: {error_type}")
    assert seen.booked("outcome", "cost") == [(error_type, 0)]
    assert seen.chat.status == seen.agent.status == "ERROR"


async def test_18_a_json_error_as_octet_stream(tmp_path: Path, stream: bool) -> None:
    fault = Fault.raw_json({"error": {"code": "model_not_found"}}, 404, {"content-type": "application/octet-stream"})
    async with stage(tmp_path) as on:
        seen = await on.turn(fault, stream=stream)
    assert seen.booked("outcome", "cost") == [("model_not_found", 0)]


@pytest.mark.parametrize(
    ("headers", "waits"),
    [({"retry-after": "1", "retry-after-ms": "0"}, True), ({"retry-after-ms": "1"}, False), ({}, False)],
    ids=["1 beside 0 ms", "1 ms", "none"],
)
async def test_18_a_429_is_tried_again_when_it_says(
    tmp_path: Path, stream: bool, headers: dict[str, str], waits: bool
) -> None:
    """Whether it was waited for is read from the deadline: a wait that would not fit is not begun."""
    async with stage(tmp_path, bounds={"deadline_seconds": 0.9}) as on:
        seen = await on.turn(Fault("status", 429, headers=headers), answer(stream), stream=stream)
        assert len(on.server.log.accesses) == (1 if waits else 2)
    assert seen.result.outcome == ("provider_failed" if waits else "answered")
    assert seen.booked("cost")[0] == (0,)


@pytest.mark.parametrize("form", [1, 2, 3, 4])
async def test_18_context_overflow_in_its_four_forms(tmp_path: Path, stream: bool, form: int) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault("context_overflow", form), stream=stream)
    assert (seen.result.outcome, len(seen.ledger), seen.row["cost"]) == ("context_full", 1, 0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "content_policy_violation", "message": "no"}),
        (400, {"code": "data_inspection_failed", "message": "no"}),
        (400, {"code": "invalid_prompt", "message": "no"}),
        (400, {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}),
    ],
    ids=["OpenAI", "Qwen", "flagged", "Anthropic"],
)
async def test_18_a_filter_in_its_forms(tmp_path: Path, stream: bool, status: int, error: object) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault.raw_json({"error": error}, status), stream=stream)
    assert (seen.result.outcome, seen.booked("outcome", "cost")) == ("content_filtered", [("content_filter", 0)])


@pytest.mark.parametrize(
    ("status", "error", "error_type"),
    [
        (429, {"type": "exceeded_current_quota_error", "message": "no"}, "exceeded_current_quota_error"),
        (429, {"code": "rate_limit_exceeded", "type": "insufficient_quota", "message": "no"}, "insufficient_quota"),
        (429, {"code": 429, "message": "You exceeded your current quota, please check."}, "insufficient_quota"),
        (413, {"code": "rate_limit_exceeded", "message": "Request too large, reduce"}, "rate_limit_exceeded"),
    ],
    ids=["Moonshot", "beside a rate limit", "in words", "Groq's 413"],
)
async def test_18_a_limit_that_does_not_pass_is_handed_on_at_once(
    tmp_path: Path, stream: bool, status: int, error: object, error_type: str
) -> None:
    async with stage(tmp_path, chain={"other": {}}) as on:
        seen = await on.turn(Fault.raw_json({"error": error}, status), answer(stream), stream=stream)
    assert (seen.result.outcome, seen.result.models) == ("answered", ("other",))
    assert seen.booked("outcome") == [(error_type,), ("ok",)]


async def test_18_a_server_that_answers_500_in_a_tool_loop(tmp_path: Path, stream: bool) -> None:
    """Once it is tried again, at every step of the loop; for good, the next model goes on with the same tools."""
    flaky = Fault("status", 500)
    asked = calls(stream, call("search_kb", '{"query": "wifi"}'))
    async with stage(tmp_path) as on:
        seen = await on.turn(flaky, asked, flaky, flaky, answer(stream), stream=stream)
    assert seen.result.outcome == "answered"
    assert seen.retries == ["server_error"] * 3
    assert [span.attributes["agent.attempts"] for span in seen.chats] == [2, 3]

    async with stage(tmp_path / "chain", chain={"other": {}}) as on:
        seen = await on.turn(asked, flaky, flaky, flaky, answer(stream), stream=stream)
    assert (seen.result.outcome, seen.result.models) == ("answered", ("small", "other"))
    assert [span.name for span in seen.chats] == ["chat small", "chat small", "chat other"]


async def test_18_an_error_page_is_no_answer_and_no_crash(tmp_path: Path, stream: bool) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault("html", times=3), stream=stream)
    assert seen.result.outcome == "provider_failed"
    assert [row["quality"] for row in seen.ledger] == ["unknown"] * 3


@pytest.mark.parametrize("text", ["half \ud800 a pair", "\udfff", "a \x00 byte", "﷽" * 50, "\ud83d\ude00 whole"])
async def test_19_bad_text_of_a_user_is_answered(tmp_path: Path, stream: bool, text: str) -> None:
    """The stand-in refuses lone surrogates with a 400, as real servers should; they never leave us."""
    async with stage(tmp_path) as on:
        seen = await on.turn(answer(stream), stream=stream, text=text)
        again = await on.turn(answer(stream), stream=stream, text="And now?", conversation=seen.result.conversation_id)
    assert (seen.result.outcome, again.result.outcome) == ("answered", "answered")


@pytest.mark.parametrize(
    "raw",
    [rb'"\ud800 half"', rb'"a \u0000 byte"', rb'"\ud83d\ude00"', b'"\xff bad utf-8"'],
    ids=["surrogate", "NUL", "pair", "utf-8"],
)
async def test_19_bad_text_of_a_model_is_shown_and_sent_back(tmp_path: Path, stream: bool, raw: bytes) -> None:
    part = b"delta" if stream else b"message"
    body = b'{"id": %s, "model": %s, "choices": [{"index": 0, "%s": {"content": %s}, "finish_reason": "stop"}], ' % (
        raw,
        raw,
        part,
        raw,
    )
    body += b'"usage": {"prompt_tokens": 100, "completion_tokens": 10}}'
    fault = Fault.raw_stream([b"data: " + body + b"\n\n"]) if stream else Fault.raw_body(body)
    async with stage(tmp_path) as on:
        seen = await on.turn(fault, stream=stream)
        again = await on.turn(stream=stream, text="And now?", conversation=seen.result.conversation_id)
    assert (seen.result.outcome, again.result.outcome) == ("answered", "answered")
    assert seen.result.text
    assert seen.result.text.encode().decode() == seen.shown
    assert seen.row["cost"] == NANO_COUNTS
    assert "\x00" not in str(seen.row["response_model"])  # PostgreSQL would not store it


@pytest.mark.parametrize("digits", [400, 5_000])
async def test_19_an_integer_without_end_is_no_count_and_no_crash(tmp_path: Path, stream: bool, digits: int) -> None:
    body = b'{"choices": [{"index": 0, "%s": {"content": "Hello"}, "finish_reason": "stop"}], ' % (
        b"delta" if stream else b"message"
    )
    body += b'"usage": {"prompt_tokens": %s, "completion_tokens": 10}}' % (b"9" * digits)
    fault = Fault.raw_stream([b"data: " + body + b"\n\n"], times=3) if stream else Fault.raw_body(body, times=3)
    async with stage(tmp_path) as on:
        seen = await on.turn(fault, stream=stream)
    assert seen.result.outcome in ("answered", "provider_failed")
    assert all(row["cost"] == row["bound"] and row["quality"] != "measured" for row in seen.ledger)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"text"', b"\x00\x01", b"{}", b"[" * 100_000, b"true"])
async def test_19_bodies_that_are_none(tmp_path: Path, stream: bool, body: bytes) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault.raw_body(body, times=3), stream=stream)
    assert seen.result.outcome == "provider_failed"
    assert [(row["quality"], row["cost"] == row["bound"]) for row in seen.ledger] == [("unknown", True)] * 3


@pytest.mark.parametrize("name", ["functions.search_kb", "search kb", "🔧", "x" * 3_000, "../../etc", "a\x00b"])
async def test_19_a_name_that_no_provider_takes_back(tmp_path: Path, stream: bool, name: str) -> None:
    """Providers refuse a conversation in which a tool is called anything but letters, digits, - and _."""
    async with stage(tmp_path) as on:
        seen = await on.turn(calls(stream, call(name, "{}")), stream=stream)
    assert seen.result.outcome == "answered"
    assert len(seen.result.models) == 1
