"""Calls that are ended from outside: time-outs and cancelled turns."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from agent.tools.runner import run_tool
from agent.tools.threads import ToolThreads
from agent.tools.tool import Tool, tool
from agent.types import ToolCall, ToolResult


async def run(asked: Tool, threads: ToolThreads | None = None) -> ToolResult:
    call = ToolCall("call_1", asked.name, "{}")
    return await run_tool(asked, call, key="k", limit=16_384, threads=threads or ToolThreads(1))


async def test_an_async_tool_that_takes_too_long_is_stopped() -> None:
    stopped = asyncio.Event()

    @tool(timeout=0.02)
    async def sleepy() -> str:
        """Sleeps."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    result = await run(sleepy)
    assert stopped.is_set()
    assert (result.error_type, result.content) == (
        "timeout",
        "Error: sleepy did not answer within 0.02 s. Whether it took effect is not known.",
    )


async def test_an_async_tool_that_fails_while_stopped_is_a_timeout() -> None:
    @tool(timeout=0.02)
    async def sulky() -> str:
        """Sulks."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise ValueError("cleaning up failed") from error
        return ""

    assert (await run(sulky)).error_type == "timeout"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_a_thread_that_takes_too_long_is_abandoned(gate: threading.Event) -> None:
    done = threading.Event()

    @tool(timeout=0.02)
    def sleepy() -> str:
        """Sleeps."""
        gate.wait()
        done.set()
        return ""

    result = await run(sleepy)
    assert result.error_type == "timeout"
    assert "Whether it took effect is not known" in result.content
    assert not done.is_set()
    gate.set()
    assert await asyncio.to_thread(done.wait, 10)


async def test_a_call_that_found_no_thread_was_not_started(gate: threading.Event) -> None:
    ran = threading.Event()
    one = ToolThreads(1)

    @tool(timeout=30.0)
    def hang() -> None:
        """Hangs."""
        gate.wait()

    @tool(timeout=0.02)
    def late() -> None:
        """Is late."""
        ran.set()

    @tool
    def quick() -> str:
        """Is quick."""
        return "next"

    first = asyncio.create_task(run(hang, threads=one))
    await asyncio.sleep(0)
    result = await run(late, threads=one)
    assert (result.error_type, result.content) == (
        "timeout",
        "Error: late was not started: all threads for tools were busy for 0.02 s.",
    )
    gate.set()
    assert (await first).content == "null"
    assert (await run(quick, threads=one)).content == "next"
    assert not ran.is_set()


@contextlib.asynccontextmanager
async def cancelled_midway(asked: Tool, begun: threading.Event) -> AsyncIterator[None]:
    turn = asyncio.create_task(run(asked))
    assert await asyncio.to_thread(begun.wait, 10)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    yield


async def test_a_cancelled_turn_cancels_its_async_tool() -> None:
    begun, stopped = threading.Event(), asyncio.Event()

    @tool
    async def sleepy() -> None:
        """Sleeps."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with cancelled_midway(sleepy, begun):
        assert stopped.is_set()


async def test_a_cancelled_turn_abandons_its_thread(gate: threading.Event) -> None:
    begun, done = threading.Event(), threading.Event()

    @tool
    def sleepy() -> None:
        """Sleeps."""
        begun.set()
        gate.wait()
        done.set()

    async with cancelled_midway(sleepy, begun):
        assert not done.is_set()
        gate.set()
        assert await asyncio.to_thread(done.wait, 10)
