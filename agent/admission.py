"""Which of the tool calls in a reply are taken up. Pure: bounds, repeats and unknown names are read from the turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from agent.repeats import WINDOW, Past, judge
from agent.tools.results import not_run, unknown_tool
from agent.tools.tool import Tool
from agent.turn import ModelStep, ToolStep, Turn
from agent.types import Outcome, ToolCall, ToolResult

WARNED = ("same", "cycle")
"""The `error_type` of a result that warned the model of a repetition."""

Kind = Literal["run", "same", "cycle", "ended", "unknown_tool", "too_many"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A reply with its tool calls sorted out: `step` without the calls beyond the bound, `tools` one for each call
    left, with a result where it is not to be run, `ended` where the turn ends for repeating itself. `kinds` says of
    each call, dropped ones included, what became of it."""

    step: ModelStep
    tools: tuple[ToolStep, ...]
    ended: Outcome | None
    kinds: tuple[tuple[ToolCall, Kind], ...]


def take_up(turn: Turn, reply: ModelStep, tools: Mapping[str, Tool]) -> Taken:
    """Sorts out the calls of `reply`, which the turn doesn't have yet."""
    if reply.closing:
        return Taken(replace(reply, message=replace(reply.message, tool_calls=())), (), None, ())
    calls = reply.message.tool_calls
    if not calls:
        return Taken(reply, (), None, ())
    kept, dropped = calls[: turn.bounds.calls_per_reply], calls[turn.bounds.calls_per_reply :]
    past = _past(turn)
    number, done = len(turn.models()), len(turn.tools())
    steps: list[ToolStep] = []
    kinds: list[tuple[ToolCall, Kind]] = []
    for index, call in enumerate(kept):
        kind, result = _judge(turn, past, number, done + index, call, tools)
        past.append(Past(call, number, result.content if result else None, kind in WARNED))
        kinds.append((call, kind))
        ended_at = None if result is None else reply.ended
        steps.append(ToolStep(f"{reply.key}.t{index}", call, reply.ended, result, ended_at))
    kinds += [(call, "too_many") for call in dropped]
    if dropped:
        reply = replace(reply, message=replace(reply.message, tool_calls=kept), dropped=len(dropped))
    ended: Outcome | None = "repeating" if any(kind == "ended" for _, kind in kinds) else None
    return Taken(reply, tuple(_stopped(steps) if ended else steps), ended, tuple(kinds))


def _judge(
    turn: Turn, past: list[Past], number: int, done: int, call: ToolCall, tools: Mapping[str, Tool]
) -> tuple[Kind, ToolResult | None]:
    verdict = judge(past, call, number)
    if verdict.kind == "ended":
        return "ended", not_run(call, "the turn ends here: the same calls were repeated")
    if verdict.kind != "run":
        return verdict.kind, ToolResult(call, verdict.content, verdict.kind)
    if done >= turn.bounds.tool_calls:
        return "too_many", not_run(call, f"the limit of {turn.bounds.tool_calls} tool calls is reached; answer now")
    if call.name not in tools:
        return "unknown_tool", unknown_tool(call, tools.keys())
    return "run", None


def _past(turn: Turn) -> list[Past]:
    """Those of the turn's calls so far that count: the last ones, and the warned. Each has the number of its reply."""
    asked: list[tuple[int, ToolStep]] = []
    number = -1
    for step in turn.steps:
        if isinstance(step, ModelStep):
            number += 1
        else:
            asked.append((number, step))
    old = len(asked) - WINDOW
    return [_as_past(*each) for place, each in enumerate(asked) if place >= old or _warned(each[1])]


def _as_past(number: int, step: ToolStep) -> Past:
    return Past(step.call, number, step.result.content if step.result else None, _warned(step))


def _warned(step: ToolStep) -> bool:
    return step.result is not None and step.result.error_type in WARNED


def _stopped(steps: list[ToolStep]) -> list[ToolStep]:
    """The turn ends: what would have run does not."""
    return [
        step if step.result else replace(step, result=not_run(step.call, "the turn ends here"), ended=step.began)
        for step in steps
    ]
