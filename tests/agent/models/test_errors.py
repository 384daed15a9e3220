"""Errors as real providers send them: providers.md 18 and 19, and what they mean for money."""

from __future__ import annotations

import gzip

import pytest

from agent.config import FailureKind
from agent.models.retries import retryable
from agent.types import Json
from telemetry.usage import Usage
from tests.agent.models.raw_server import USAGE, answer, ask


@pytest.mark.parametrize(
    ("status", "body", "kind", "error_type", "billed"),
    [
        (401, {"error": {"code": "invalid_api_key", "type": "invalid_request_error"}}, "auth", "invalid_api_key", "no"),
        (403, {"detail": "no"}, "auth", "http_403", "no"),
        (402, {"error": {"message": "credit", "code": 402}}, "rate_limit", "http_402", "no"),
        (400, {"error": {"message": "x", "code": 400}}, "bad_request", "http_400", "no"),
        (400, {"error": {"message": "x", "code": None, "type": "invalid_request_error"}}, "bad_request",
         "invalid_request_error", "no"),
        (400, {"error": {"message": "x"}}, "bad_request", "http_400", "no"),
        (400, {"error": "just text"}, "bad_request", "http_400", "no"),
        (400, {"error": {"code": "tool_use_failed", "message": "x"}}, "malformed", "tool_use_failed", "maybe"),
        (404, {"error": {"code": "DeploymentNotFound"}}, "bad_request", "deploymentnotfound", "no"),
        (400, {"error": {"code": "not an identifier \u00e9"}}, "bad_request", "http_400", "no"),
        (408, {}, "timeout", "http_408", "maybe"),
        (422, {"detail": [{"loc": ["body"], "msg": "x"}]}, "bad_request", "http_422", "no"),
        (429, {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, "rate_limit", "rate_limit_exceeded", "no"),
        (500, {"error": {"code": None, "type": "server_error"}}, "server_error", "server_error", "maybe"),
        (502, b"<html>Bad gateway</html>", "server_error", "http_502", "maybe"),
        (503, b"", "server_error", "http_503", "no"),
        (504, b"", "timeout", "http_504", "maybe"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "server_error", "overloaded_error", "no"),
        (307, b"", "bad_request", "http_307", "no"),
        (500, b"\xff\xfe", "server_error", "http_500", "maybe"),
        (500, [1], "server_error", "http_500", "maybe"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [True, False])
async def test_status(
    status: int, body: bytes | Json, kind: FailureKind, error_type: str, billed: str, streamed: bool
) -> None:
    failure = (await ask(answer(body, "location: /elsewhere", status=status), streamed)).failed
    assert (failure.kind, failure.error_type, failure.billed) == (kind, error_type, billed)
    assert (failure.status, failure.reply, failure.shown) == (status, None, False)


async def test_json_error_as_octet_stream() -> None:
    content = answer({"error": {"message": "m", "code": "c"}}, status=400, content_type="application/octet-stream")
    failure = (await ask(content)).failed
    assert (failure.error_type, failure.message) == ("c", "m")


async def test_a_compressed_error() -> None:
    content = gzip.compress(b'{"error":{"code":"c"}}')
    assert (await ask(answer(content, "content-encoding: gzip", status=400))).failed.error_type == "c"


@pytest.mark.parametrize(
    ("body", "message"),
    [({"detail": "gone"}, "gone"), ({"error": "gone"}, "gone"), ({"message": "gone"}, "gone"), (b"gone", "gone")],
)
async def test_message(body: bytes | Json, message: str) -> None:
    assert (await ask(answer(body, status=400))).failed.message == message


@pytest.mark.parametrize("where", ["beside", "inside"])
async def test_usage_in_an_error_body(where: str) -> None:
    error: dict[str, Json] = {"code": "invalid_output"}
    body: Json = {"error": error, "usage": USAGE} if where == "beside" else {"error": {**error, "usage": USAGE}}
    failure = (await ask(answer(body, status=400))).failed
    assert failure.reply is not None
    assert (failure.reply.usage, failure.billed) == (Usage(7, 3), "maybe")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded", "message": "x", "type": "invalid_request_error"}),
        (400, {"code": 400, "message": "This endpoint's maximum context length is 8192 tokens. However, you sent"}),
        (400, {"code": 400, "type": "exceed_context_size_error", "message": "exceeds the available context size"}),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 215000 tokens > 200000 maximum"}),
        (500, {"message": "context size exceeded"}),
        (400, {"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}),
        (400, {"message": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}),
        (413, {"message": "Please reduce the length of the messages or completion."}),
        (400, {"message": "Input is too long for requested model."}),
    ],
)  # fmt: skip
async def test_context_overflow(status: int, error: Json) -> None:
    for body in ({"error": error}, error):
        failure = (await ask(answer(body, status=status))).failed
        assert (failure.kind, failure.billed) == ("context_overflow", "no")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "too many tokens: total number of tokens in this prompt (5000) exceeds the limit of 4096"),
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000"),
        (422, "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000"),
        (400, {"code": "string_above_max_length", "message": "Invalid 'messages[1].content'"}),
        (400, "Request payload size exceeds the limit: 20971520 bytes."),
        (400, "Invalid request: Your request exceeded model token limit: 131072"),
        (400, "Range of input length should be [1, 30720]"),
        (400, "invalid params, context window exceeds limit (2013)"),
        (400, "The decoder prompt (length 40000) is longer than the maximum model length of 32768."),
        (400, "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with"),
        (400, "litellm.ContextWindowExceededError: x"),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        (400, {"code": "1261", "message": "Prompt 超长"}),
        (413, {"code": "tokens_limit_reached", "message": "Max size: 8000 tokens."}),
        (413, "Payload Too Large"),
        (400, {"code": 400, "message": "Provider returned error", "metadata": {"raw":
         '{"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}}'}}),
    ],
)  # fmt: skip
async def test_context_overflow_as_others_word_it(status: int, error: Json) -> None:
    failure = (await ask(answer({"error": error}, status=status))).failed
    assert (failure.kind, failure.billed) == ("context_overflow", "no")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "max_tokens is too large: 40000. This model supports at most 16384 completion tokens."),
        (429, "Too many tokens, please wait before trying again."),
        (400, "This model does not support tools"),
    ],
)
async def test_what_sounds_like_an_overflow(status: int, message: str) -> None:
    assert (await ask(answer({"error": message}, status=status))).failed.kind in ("bad_request", "rate_limit")


TOO_LARGE: Json = {
    "message": "Request too large for model on tokens per minute (TPM): Limit 8000, please reduce your message size",
    "type": "tokens",
    "code": "rate_limit_exceeded",
}


async def test_a_request_above_what_a_minute_allows_is_for_another_model() -> None:
    failure = (await ask(answer({"error": TOO_LARGE}, status=413))).failed
    assert (failure.kind, failure.error_type, retryable(failure)) == ("rate_limit", "rate_limit_exceeded", False)


@pytest.mark.parametrize(
    ("status", "error", "error_type"),
    [
        (429, {"type": "exceeded_current_quota_error", "message": "x"}, "exceeded_current_quota_error"),
        (429, {"code": "rate_limit_exceeded", "type": "insufficient_quota", "message": "x"}, "insufficient_quota"),
        (429, {"code": 429, "message": "You exceeded your current quota, please check your plan and billing details."},
         "insufficient_quota"),
        (429, {"code": "1113", "message": "余额不足或无可用资源包"}, "insufficient_quota"),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
         "insufficient_quota"),
        (400, {"code": "Arrearage", "message": "Access denied"}, "arrearage"),
        (403, {"code": "insufficient_user_quota", "message": "x"}, "insufficient_user_quota"),
        (402, {"code": "invalid_request_error", "message": "Insufficient Balance"}, "insufficient_quota"),
        (400, {"code": "400", "type": "budget_exceeded", "message": "x"}, "budget_exceeded"),
    ],
)  # fmt: skip
async def test_an_empty_account_however_it_is_said(status: int, error: Json, error_type: str) -> None:
    failure = (await ask(answer({"error": error}, status=status))).failed
    assert (failure.kind, failure.error_type, retryable(failure)) == ("rate_limit", error_type, False)


@pytest.mark.parametrize(
    ("status", "error", "error_type"),
    [
        (429, {"code": 429, "status": "RESOURCE_EXHAUSTED",
               "message": "You exceeded your current quota. Please retry in 22.5s."}, "resource_exhausted"),
        (429, {"code": "rate_limit_exceeded", "type": "tokens", "message": "TPM: Limit 6000. Please try again in 7.6s"},
         "rate_limit_exceeded"),
        (429, {"code": "1302", "message": "x"}, "http_429"),
        (400, {"code": "1302", "message": "x"}, "http_400"),
        (403, {"code": 403, "type": "rate_limit_error"}, "rate_limit_error"),
        (498, {"code": "capacity_exceeded"}, "capacity_exceeded"),
    ],
)  # fmt: skip
async def test_a_limit_that_passes(status: int, error: Json, error_type: str) -> None:
    failure = (await ask(answer({"error": error}, status=status))).failed
    assert (failure.kind, failure.error_type, retryable(failure)) == ("rate_limit", error_type, True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "x"}),
        (400, {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "x"}),
        (400, {"code": "content_policy_violation", "type": "invalid_request_error", "message": "x"}),
        (400, {"code": "data_inspection_failed", "type": "data_inspection_failed", "message": "x"}),
        (400, {"code": "invalid_prompt", "type": "invalid_request_error", "message": "x"}),
        (400, {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}),
        (400, {"type": "invalid_request_error", "message": "Content Exists Risk"}),
        (400, {"code": "1301", "message": "x"}),
        (403, {"code": 403, "message": 'x requires moderation on y. Your input was flagged for "violence".'}),
        (403, "Content violates usage guidelines."),
        (None, {"code": "content_filter", "message": "x"}),
    ],
)
async def test_a_filter_however_it_is_said(status: int | None, error: Json) -> None:
    failure = (await ask(answer({"error": error}, status=status or 200))).failed
    assert (failure.kind, failure.error_type, retryable(failure)) == ("bad_request", "content_filter", False)


async def test_an_error_wrapped_in_a_list() -> None:
    failure = (
        await ask(answer([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}], status=400))
    ).failed
    assert (failure.kind, failure.error_type, failure.message) == ("bad_request", "invalid_argument", "m")


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"error": "busy", "error_type": "overloaded"}, "overloaded", "busy"),
        ({"success": False, "errors": [{"code": 5007, "message": "no such model"}]}, "http_400", "no such model"),
        ({"message": {"detail": [{"msg": "x"}]}, "type": "invalid_request_error"}, "invalid_request_error",
         '{"detail":[{"msg":"x"}]}'),
        ({"__type": "ValidationException", "message": "m"}, "validationexception", "m"),
        ({"detail": [{"msg": "x"}]}, "http_400", '[{"msg":"x"}]'),
    ],
)  # fmt: skip
async def test_where_codes_and_messages_stand(body: Json, error_type: str, message: str) -> None:
    failure = (await ask(answer(body, status=400))).failed
    assert (failure.error_type, failure.message) == (error_type, message)


async def test_a_wrong_key_that_is_called_an_argument() -> None:
    error: Json = {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid one."}
    assert (await ask(answer([{"error": error}], status=400))).failed.kind == "auth"


async def test_a_limit_of_tokens_per_minute_is_no_overflow() -> None:
    error: Json = {
        "code": "rate_limit_exceeded",
        "message": "Request too large: Limit 8000. Reduce the length of the x",
    }
    assert (await ask(answer({"error": error}, status=429))).failed.kind == "rate_limit"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 2"], 2.0),
        (["Retry-After: 1", "retry-after-ms: 0"], 1.0),
        (["Retry-After: 1", "retry-after-ms: 250"], 0.25),
        ([], None),
        (["Retry-After: soon"], None),
    ],
)
async def test_retry_after(headers: list[str], seconds: float | None) -> None:
    assert (await ask(answer({}, *headers, status=429))).failed.retry_after == seconds
