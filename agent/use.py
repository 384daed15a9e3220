"""Runs the tool calls of a reply: at most so many at a time, results in the order of the calls, a span for each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from agent.runtime import Agent
from agent.tools.results import not_run
from agent.tools.runner import run_tool
from agent.turn import ToolStep, Turn, Use
from agent.types import Emit, ToolFinished, ToolStarted


async def use(agent: Agent, turn: Turn, act: Use, emit: Emit) -> Turn:
    """One that fails does not disturb its siblings: whatever goes wrong is a result that the model reads."""
    places = asyncio.Semaphore(turn.bounds.parallel_tools)

    async def one(step: ToolStep) -> ToolStep:
        async with places:
            return await _use_one(agent, turn, step, emit)

    if len(act.steps) == 1:
        return turn.used([await _use_one(agent, turn, act.steps[0], emit)])
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(step)) for step in act.steps]
    except BaseExceptionGroup as errors:  # of whoever is shown the tools: what tools raise is a result
        raise errors.exceptions[0] from None
    return turn.used([task.result() for task in tasks])


async def _use_one(agent: Agent, turn: Turn, step: ToolStep, emit: Emit) -> ToolStep:
    telemetry = agent.services.telemetry
    tool = agent.tools.tools[step.call.name]
    # To a process that was frozen the turn may be lost: another one has told the model that this call's outcome is
    # unknown, and it may have asked for it once more.
    alive = await agent.services.pulse.guard(turn.deadline - time.monotonic())
    left = turn.deadline - time.monotonic()
    if not alive or left <= 0:
        reason = "the time limit of this turn was reached before"
        return replace(step, result=not_run(step.call, reason), ended=time.time_ns() // 1000)
    if left < tool.timeout:
        tool = replace(tool, timeout=left)
    await emit(ToolStarted(step.call))
    began = time.perf_counter()
    opened = telemetry.spans.execute_tool(
        agent.name,
        tool.name,
        step.call.id,
        description=tool.description,
        conversation_id=turn.conversation_id,
        tenant=turn.caller.tenant,
        user=turn.caller.user,
    )
    try:
        with opened as span:
            result = await run_tool(
                tool,
                step.call,
                key=f"{turn.id}/{step.key}",
                limit=turn.bounds.tool_result_bytes,
                threads=agent.tools.threads,
            )
            if result.error_type:
                span.fail(result.error_type)
            span.content(step.call.arguments, result.content)
    finally:
        seconds = time.perf_counter() - began
        telemetry.metrics.tool(agent.name, tool.name, seconds, opened.error_type, opened.exemplar)
    if result.error_type == "invalid_arguments":
        telemetry.metrics.rejection(agent.name, tool.name, "invalid_arguments")
    await emit(ToolFinished(result))
    return replace(step, result=result, ended=time.time_ns() // 1000)
