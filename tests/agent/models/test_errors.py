"""Errors as real providers send them: providers.md 18 and 19, and what they mean for money."""

from __future__ import annotations

import asyncio
import gzip
import socket

import pytest

from agent.config import FailureKind
from agent.types import Json
from telemetry.usage import Usage
from tests.agent.models.raw_server import USAGE, adapter, answer, ask, raw_server, send


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


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with adapter(f"http://127.0.0.1:{bound.getsockname()[1]}/v1") as model:
            failure = (await send(model)).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("connection", "ClientConnectorError", "no")


async def test_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):  # the queue of one is taken: a further connection hangs
            timeouts = {"connect": 0.05}
            async with adapter(f"http://127.0.0.1:{address[1]}/v1", timeouts=timeouts) as model:
                failure = (await send(model)).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "connect_timeout", "no")


async def test_hung_up_without_an_answer() -> None:
    failure = (await ask(b"", then="close")).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("connection", "ServerDisconnectedError", "maybe")


async def test_what_is_not_http() -> None:
    failure = (await ask(b"what?\r\n\r\n", then="close")).failed
    assert (failure.kind, failure.billed) == ("connection", "maybe")


async def test_no_first_byte() -> None:
    failure = (await ask(b"", then="hold", timeouts={"first_byte": 0.02})).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "first_byte_timeout", "maybe")


async def test_silence_in_the_middle() -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    failure = (await ask(head, then="hold", timeouts={"between": 0.02})).failed
    assert (failure.kind, failure.error_type) == ("timeout", "between_timeout")


async def test_silence_while_an_error_is_read() -> None:
    head = b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    async with raw_server(head, then="hold") as server, adapter(server.url, timeouts={"first_byte": 0.1}) as model:
        failure = (await send(model)).failed
        assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "first_byte_timeout", "maybe")
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_the_deadline_ends_everything() -> None:
    async with raw_server(b"", then="hold") as server, adapter(server.url) as model:
        failure = (await send(model, time_limit=0.05)).failed
        assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "deadline", "maybe")
        none_left = (await send(model, time_limit=0)).failed
        assert (none_left.error_type, none_left.billed) == ("deadline", "no")
        assert server.connections == 1
