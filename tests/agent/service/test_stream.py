"""A streamed turn: text as it comes, signs of life, its end or its failure, and clients that read slowly."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from openai import APIError

from agent.offline.faults import Fault
from agent.service.protocol import Limits
from tests.support import books
from tests.support.desk import meeting
from tests.support.serving import Desk, serving
from tests.support.stage import answer, call, calls
from tests.support.until import until


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(tmp_path) as desk:
        yield desk


async def events(response: ClientResponse) -> list[Any]:
    """What each event says; comments as they are."""
    found: list[Any] = []
    for block in (await response.read()).decode().split("\n\n")[:-1]:
        said = block.removeprefix("data: ")
        found.append(json.loads(said) if said.startswith("{") else said)
    return found


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content", "") for chunk in chunks if isinstance(chunk, dict) for choice in chunk["choices"]
    )


async def test_text_comes_as_it_comes(desk: Desk) -> None:
    desk.model.faults.push(Fault("gate", "half@3"))
    client = await desk.client()
    stream = await client.chat.completions.create(
        model="desk", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    opening, first = await anext(stream), await anext(stream)
    assert (opening.choices[0].delta.role, opening.choices[0].delta.content) == ("assistant", "")
    assert first.choices[0].delta.content
    assert desk.turns()[0]["state"] == "running"
    desk.model.gates.named("half").release()
    rest = [chunk async for chunk in stream]
    assert rest[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in rest} == {first.id} == {f"chatcmpl-{desk.turns()[0]['id']}"}
    assert not any(chunk.usage for chunk in rest)


async def test_the_whole_of_a_stream(desk: Desk) -> None:
    desk.model.faults.push(answer(True, "Turn it off."))
    async with desk.asking(stream=True, stream_options={"include_usage": True}) as response:
        chunks = await events(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert chunks[-1] == "[DONE]"
    assert text_of(chunks) == "Turn it off."
    *_, last, usage, _done = chunks
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert last["agent"]["trace_id"] == response.headers["x-trace-id"]
    assert last["agent"]["conversation_id"] == response.headers["x-conversation-id"]
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 100
    assert usage["usage"]["completion_tokens"] == 10
    assert usage["usage"]["cost_usd"] == last["agent"]["cost_nano_usd"] / 1e9 > 0


async def test_signs_of_life_while_tools_run(desk: Desk) -> None:
    desk.service.keep_alive = 0.02
    meeting.open = asyncio.Event()
    desk.model.faults.push(calls(True, call("search_kb", '{"query": "wifi"}')), answer(True, "Found."))
    try:
        async with desk.asking(stream=True) as response:
            assert await response.content.readuntil(b"\n\n") == b": waiting\n\n"
            assert await response.content.readuntil(b"\n\n") == b": waiting\n\n"
            meeting.open.set()
            chunks = await events(response)
    finally:
        meeting.open = None
    assert text_of(chunks) == "Found."
    assert chunks[-1] == "[DONE]"


async def test_a_failure_before_the_first_text_has_a_status_of_its_own(desk: Desk) -> None:
    desk.model.faults.push(Fault("status", 400))
    failed = await desk.ask(stream=True)
    assert (failed.status, failed.error["code"]) == (503, "provider_failed")
    assert failed.headers["x-trace-id"] == failed.error["agent"]["trace_id"]
    assert (await desk.ask(stream=True, n=2)).status == 400


async def test_a_failure_after_it_is_an_event(desk: Desk) -> None:
    desk.model.faults.push(Fault("error_chunk", 3))
    async with desk.asking(stream=True) as response:
        chunks = await events(response)
    assert response.status == 200
    assert text_of(chunks[:-1])
    error = chunks[-1]["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert (error["code"], error["agent"]["outcome"]) == ("provider_failed", "provider_failed")


async def test_a_failure_after_a_sign_of_life_is_an_event_too(desk: Desk) -> None:
    """The status is said by then."""
    desk.service.keep_alive = 0.02
    gate = desk.model.gate()
    async with desk.asking(stream=True) as response:
        assert await response.content.readuntil(b"\n\n") == b": waiting\n\n"
        await gate.arrived()
        await desk.app.hand_back()
        chunks = await events(response)
    assert response.status == 200
    assert chunks[-1]["error"]["code"] == "draining"
    gate.release()


async def test_the_sdk_raises_what_an_event_says(desk: Desk) -> None:
    desk.model.faults.push(Fault("error_chunk", 3))
    client = await desk.client()
    stream = await client.chat.completions.create(
        model="desk", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert [(await anext(stream)).choices[0].delta.content, (await anext(stream)).choices[0].delta.content] > ["", ""]
    with pytest.raises(APIError) as raised:
        await _rest(stream)
    assert raised.value.code == "provider_failed"
    assert raised.value.type == "server_error"


async def _rest(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


async def test_the_trace_goes_on(desk: Desk) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    for stream in (True, False):
        async with desk.asking(headers=headers, stream=stream) as response:
            await response.read()
        assert response.headers["x-trace-id"] == trace
    assert {row["trace_id"] for row in books.table(desk.store, "ledger")} == {trace}
    for broken in ("00-xyz", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "é".encode().decode("latin-1"), "x" * 4000):
        answered = await desk.ask(headers={"traceparent": broken})
        assert (answered.status, len(answered.headers["x-trace-id"])) == (200, 32)


LONG = " ".join(["x" * 16_000] * 120)
"""Two million characters, more than the buffers on the way take."""


async def asking_raw(desk: Desk) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that takes little at a time."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", desk.served.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    document = {"model": "desk", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    body = json.dumps(document).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def test_who_reads_nothing_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its turn is cancelled and paid, and its connection gone with all that was to be sent."""
    async with serving(tmp_path, limits=Limits(unread_seconds=0.3)) as desk:
        desk.model.faults.push(answer(True, LONG))
        reader, writer = await asking_raw(desk)
        await until(lambda: [turn["outcome"] for turn in desk.turns()] == ["cancelled"])
        [row] = books.table(desk.store, "ledger")
        assert row["outcome"] == "cancelled"
        assert (await desk.ask()).status == 200
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []
        assert len(await reader.read()) < len(LONG)
        writer.close()


async def test_who_reads_slowly_gets_it_all(desk: Desk) -> None:
    desk.model.faults.push(answer(True, LONG))
    reader, writer = await asking_raw(desk)
    read = bytearray()
    while not read.endswith(b"0\r\n\r\n"):
        read += await reader.read(65_536)
    writer.close()
    assert read.count(b"x") >= LONG.count("x")
    assert [turn["outcome"] for turn in desk.turns()] == ["answered"]
