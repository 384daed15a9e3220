"""A client that leaves at any moment leaves nothing behind: no open span, no hold, no task, nothing in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.stories.support import Collector
from tests.support import books
from tests.support.received import Received
from tests.support.serving import Desk, serving
from tests.support.stage import answer, call, calls, left_over
from tests.support.until import until

MOMENTS = 30


def request(stream: bool, keyed: bool, number: int) -> bytes:
    document = {"model": "desk", "messages": [{"role": "user", "content": f"Question {number}"}], "stream": stream}
    body = json.dumps(document).encode()
    key = f"idempotency-key: {number}\r\n" if keyed else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{key}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def ask(desk: Desk, sent: bytes, seconds: float, *, abort: bool) -> None:
    """Sends this, and leaves after so many seconds, politely or not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.served.port)
    writer.write(sent)
    await writer.drain()
    try:
        async with asyncio.timeout(seconds):
            await reader.read()
    except TimeoutError:
        pass
    writer.transport.abort() if abort else writer.close()


def script(desk: Desk, stream: bool) -> None:
    desk.model.faults.clear()
    desk.model.faults.push(
        calls(stream, call("search_kb", '{"query": "wifi"}')),
        Fault("slow_chunks", 0.003) if stream else answer(stream),
    )


async def measured(desk: Desk) -> float:
    """How long a whole turn takes here."""
    script(desk, True)
    began = time.perf_counter()
    async with desk.asking(stream=True) as response:
        await response.read()
    return time.perf_counter() - began


@pytest.mark.parametrize("keyed", [False, True])
async def test_thirty_moments(
    tmp_path: Path, otlp_http: Received, caplog: pytest.LogCaptureFixture, keyed: bool
) -> None:
    chance = random.Random(5)
    collector = Collector(otlp_http)
    caplog.set_level(logging.INFO)
    async with serving(tmp_path, env=collector.env) as desk:
        whole = await measured(desk)
        before = asyncio.all_tasks()
        for number in range(MOMENTS):
            stream = chance.random() < 0.7
            script(desk, stream)
            sent = request(stream, keyed, number)
            cut = chance.randrange(len(sent)) if number % 10 == 9 else len(sent)
            await ask(desk, sent[:cut], chance.uniform(0, whole), abort=chance.random() < 0.5)
            await until(lambda: all(turn["state"] == "done" for turn in desk.turns()))
            await until(lambda: books.table(desk.store, "hold") == [])
        assert await left_over(before) == set()
        assert desk.service.kept == set()
        assert desk.service.places.taken == 0
        await asyncio.to_thread(desk.app.services.telemetry.flush)
        turns = {turn["id"]: turn["outcome"] for turn in desk.turns()}
    assert len(turns) >= MOMENTS // 2
    assert set(turns.values()) == ({"answered"} if keyed else {"answered", "cancelled"})
    spans = [span for span in otlp_http.spans if span.attributes.get("gen_ai.operation.name") == "invoke_agent"]
    assert {span.attributes["agent.turn.id"]: span.attributes["agent.outcome"] for span in spans} == turns
    assert len(spans) == len(turns)
    assert collector.findings() == []
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


async def test_with_another_request_in_line(tmp_path: Path) -> None:
    """The turn under way is told that its client has gone, not only the request that came last, which is not begun."""
    async with serving(tmp_path) as desk:
        desk.model.faults.push(Fault("ok"), Fault("slow_chunks", 0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.served.port)
        writer.write(request(True, False, 1) + request(True, False, 2))
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        await until(lambda: all(turn["state"] == "done" for turn in desk.turns()))
        assert [turn["outcome"] for turn in desk.turns()] == ["cancelled"]
