"""What a provider can do to the process that asks it: memory, time, exceptions, its own key handed back."""

from __future__ import annotations

import asyncio
import gzip

import httpx2
import pytest

from agent.config import Timeouts
from agent.models.answer import AnswerReader
from agent.models.assemble import Assembly
from agent.models.bodies import LARGEST_JSON
from agent.models.clock import Clock
from agent.models.protocol import Arrived, CallFailed
from agent.models.retries import retryable
from agent.models.tool_calls import MOST_CALLS
from agent.types import Json
from telemetry.usage import Usage
from tests.agent.models.raw_server import (
    STOP,
    Outcome,
    adapter,
    answer,
    ask,
    body,
    chunk,
    raw_server,
    send,
    stream,
    text,
)

DEEP = 1000
KEY = "sk-canary-0123456789abcdef"


async def test_60_000_tool_calls_are_no_hang(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Json] = [{"id": f"c{n}", "function": {"name": "f", "arguments": "{}"}} for n in range(60_000)]
    got = await ask(answer(body({"tool_calls": calls})), streamed=False)
    assert [call.id for call in got.replied.message.tool_calls] == [f"c{n}" for n in range(MOST_CALLS)]
    assert [record.getMessage() for record in caplog.records] == [
        "a reply asked for more than 1,000 tool calls; further ones were dropped"
    ]


async def test_the_event_loop_goes_on_while_a_large_piece_is_read() -> None:
    class Piece:
        left = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n' + b"data:{}\n\n" * 50_000

        async def read(self) -> bytes:
            data, self.left = self.left, b""
            return data

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def show(_: str) -> None: ...

    beside = asyncio.create_task(others())
    clock = Clock(Timeouts(), 30.0)
    arrived = Arrived()
    async with clock:
        await AnswerReader(Assembly(arrived), clock, show, 0.0).read(Piece(), "text/event-stream", stream=True)
    beside.cancel()
    assert turns > 20
    assert arrived.chunk_gaps == []  # events without a choice are no chunks


async def test_an_answer_has_an_end() -> None:
    events = answer(b"data:{}\n\n" * 500_001, content_type="text/event-stream")
    assert (await ask(events)).failed.error_type == "too_many_events"


async def test_no_encoding_is_asked_for() -> None:
    async with raw_server(answer(body({"content": "x"}))) as server, adapter(server.url) as model:
        await send(model, streamed=False)
    assert "accept-encoding: identity" in server.requests[0][0].lower()


async def test_the_json_of_a_compressed_answer_is_bounded() -> None:
    large = gzip.compress(b'{"choices":[' + b"[]," * (LARGEST_JSON // 3) + b"[]]}")
    failure = (await ask(answer(large, "content-encoding: gzip"), streamed=False)).failed
    assert (failure.kind, failure.message) == ("malformed", "more than 16,777,216 bytes of JSON")


async def test_no_more_of_json_is_kept_than_is_read() -> None:
    class Endless:
        reads = 0

        async def read(self) -> bytes:
            self.reads += 1
            assert self.reads < 20
            return b"[" * 2**20

    async def show(_: str) -> None: ...

    clock = Clock(Timeouts(), 30.0)
    async with clock:
        with pytest.raises(CallFailed, match="not_json"):
            await AnswerReader(Assembly(Arrived()), clock, show, 0.0).read(Endless(), "application/json", stream=False)


NESTED = b"[" * DEEP + b"]" * DEEP
OBJECTS = b'{"a":' * DEEP + b"1" + b"}" * DEEP


@pytest.mark.parametrize(
    "content",
    [
        b'{"error":{"detail":%b}}' % NESTED,
        b'{"error":{"message":%b}}' % OBJECTS,
        b'{"choices":[{"message":{"content":%b}}]}' % (b"[" * 90_000 + b"]" * 90_000),
        b'{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"a":%b}}}]}}]}' % NESTED,
        b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":%b}}' % NESTED,
    ],
    ids=["detail", "message", "content", "arguments", "usage"],
)
@pytest.mark.parametrize("status", [200, 400])
async def test_json_nested_deeply_ends_as_any_other(content: bytes, status: int) -> None:
    got = await ask(answer(content, status=status), streamed=False)
    assert got.failure or got.reply


async def test_usage_nested_deeply_and_twice() -> None:
    counts = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"more":%b}}' % OBJECTS
    lines = [f"data: {counts.decode()}\n\n"] * 2
    assert (await ask(stream(text("x"), *lines, STOP))).replied.usage == Usage(7, 3)


async def test_arguments_nested_deeply_in_two_pieces() -> None:
    def piece(arguments: str) -> Json:
        return chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}]})

    deep = "[" * 100_000
    for arguments in (deep, '{"a":' + deep + "}"):
        (call,) = (await ask(stream(piece(arguments), piece(arguments), STOP))).replied.message.tool_calls
        assert call.arguments == 2 * arguments


@pytest.mark.parametrize("error", [ValueError("theirs"), TimeoutError("theirs"), httpx2.ReadError("theirs")])
async def test_what_the_reader_of_the_text_raises_is_not_the_providers_failure(error: Exception) -> None:
    async def show(_: str) -> None:
        raise error

    async with raw_server(stream(text("x"), STOP)) as server, adapter(server.url) as model:
        with pytest.raises(type(error), match="theirs"):
            await send(model, on_text=show)


@pytest.mark.parametrize("status", [204, 205])
async def test_no_content_is_refused_once_and_costs_nothing(status: int) -> None:
    nothing = f"HTTP/1.1 {status} X\r\n\r\n".encode()
    failure = (await ask(nothing)).failed
    assert (failure.error_type, failure.billed, retryable(failure)) == (f"http_{status}", "no", False)


@pytest.mark.parametrize("key", ["sk-canary-0123456789abcdef", "Canary.Key_1"])
@pytest.mark.parametrize("member", ["code", "type"])
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_key_handed_back_as_a_code_is_not_told(key: str, member: str, status: int) -> None:
    said = answer({"error": {"message": "no", member: key.lower()}}, status=status)
    failure = (await asked(said, key)).failed
    assert failure.error_type == ("error_in_answer" if status == 200 else f"http_{status}")


async def test_a_code_that_looks_like_a_secret_is_none() -> None:
    for code in (KEY, "ada@example.com"):
        assert (await ask(answer({"error": {"code": code}}, status=500))).failed.error_type == "http_500"


async def test_a_key_handed_back_as_a_name_is_not_told() -> None:
    key = "Canary.Key_1"
    names = dict.fromkeys(("id", "model", "service_tier", "system_fingerprint"), f"x{key}")
    reply = (await asked(answer(body({"content": "x"}, key, **names)), key)).replied
    assert (reply.response_id, reply.response_model, reply.service_tier, reply.system_fingerprint) == (None,) * 4
    assert reply.finish_reasons == ("error",)


async def test_a_key_that_no_header_can_hold_is_not_sent() -> None:
    failure = (await asked(answer(body({"content": "x"})), "sk-1\r\nX-Evil: 1")).failed
    assert (failure.kind, failure.billed) == ("connection", "no")


async def test_ids_of_calls_that_are_long_or_secrets_are_replaced() -> None:
    calls: list[Json] = [
        {"id": identity, "function": {"name": "f", "arguments": "{}"}} for identity in ("I" * 65, "J" * 64, KEY)
    ]
    message = (await ask(answer(body({"tool_calls": calls})), streamed=False)).replied.message
    assert [call.id for call in message.tool_calls] == ["call_0", "J" * 64, "call_2"]


async def asked(said: bytes, key: str) -> Outcome:
    async with raw_server(said) as server, adapter(server.url, key) as model:
        return await send(model, streamed=False)
