"""One tool call, from the model's text to what the model is told. Nothing a tool does wrong ends the turn."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from functools import partial
from typing import cast

from pydantic import ValidationError

from agent.tools.arguments import Arguments
from agent.tools.results import capped, content_of, failed, invalid_arguments, timed_out
from agent.tools.threads import ToolThreads
from agent.tools.tool import KEY, Tool
from agent.types import ToolCall, ToolResult


async def run_tool(tool: Tool, call: ToolCall, *, key: str, limit: int, threads: ToolThreads) -> ToolResult:
    """Validates, runs and words one call. `key` is its idempotency key, `limit` the result's size in bytes of UTF-8.

    `error_type` of the result is `invalid_arguments`, `timeout`, `tool_error` or the qualified name of the exception.
    Raises CancelledError when the turn is cancelled: an `async def` tool is cancelled with it, a `def` tool that
    has begun is abandoned and goes on in its thread unseen. KeyboardInterrupt goes through; SystemExit doesn't, since
    many a program that is wrapped as a tool says by it that it failed.
    """
    try:
        arguments = tool.validate(call.arguments)
    except ValidationError as error:
        return invalid_arguments(call, tool, error, limit)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the tool's edge: an engineer's own validator
        return failed(call, error, limit)
    if tool.repeat == "key":
        arguments[KEY] = key
    if tool.blocking:
        return await _in_thread(tool, call, arguments, limit, threads)
    return await _on_loop(tool, call, arguments, limit)


async def _on_loop(tool: Tool, call: ToolCall, arguments: Arguments, limit: int) -> ToolResult:
    task = asyncio.current_task()
    assert task is not None
    cancels = task.cancelling()
    deadline = asyncio.timeout(tool.timeout)
    try:
        async with deadline:
            value = await cast("Awaitable[object]", tool.run(**arguments))
        return ToolResult(call, capped(content_of(value), limit))
    except asyncio.CancelledError as error:
        if task.cancelling() > cancels:
            raise
        return failed(call, error, limit)  # the tool's own, such as that of a task it had cancelled itself
    except (Exception, SystemExit) as error:  # noqa: BLE001  the tool's edge
        return timed_out(call, tool) if deadline.expired() else failed(call, error, limit)


async def _in_thread(tool: Tool, call: ToolCall, arguments: Arguments, limit: int, threads: ToolThreads) -> ToolResult:
    carried = contextvars.copy_context()
    running = threads.submit(partial(carried.run, _called, tool, call, arguments, limit))
    try:
        async with asyncio.timeout(tool.timeout):
            return await asyncio.wrap_future(running)
    except TimeoutError:
        return timed_out(call, tool, begun=not running.cancel())


def _called(tool: Tool, call: ToolCall, arguments: Arguments, limit: int) -> ToolResult:
    """Words the outcome within the thread: a StopIteration cannot cross into a coroutine, and JSON takes time."""
    try:
        return ToolResult(call, capped(content_of(tool.run(**arguments)), limit))
    except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001  the tool's edge
        return failed(call, error, limit)
