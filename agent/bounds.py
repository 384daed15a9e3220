"""What ends a turn before its answer: pure functions of what it has done so far and of its configured bounds."""

from __future__ import annotations

from dataclasses import dataclass

from agent.config import Bounds
from agent.types import Outcome

CLOSING_SHARE = 0.2
"""The last call without tools is made while this share of the deadline is left, so that it can still answer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a turn has used: model calls, tool calls asked for and taken up, and the seconds it has left."""

    model_calls: int
    tool_calls: int
    remaining: float


def exceeded(done: Progress, bounds: Bounds) -> Outcome | None:
    """The limit that forbids another model call."""
    if done.remaining <= 0:
        return "limit_time"
    if done.model_calls >= bounds.steps:
        return "limit_steps"
    return None


def closing(done: Progress, bounds: Bounds) -> Outcome | None:
    """The limit that is so near that the next model call must be the last, without tools. The first call never is."""
    if not done.model_calls:
        return None
    if done.model_calls == bounds.steps - 1:
        return "limit_steps"
    if done.tool_calls >= bounds.tool_calls:
        return "limit_tools"
    if done.remaining < bounds.deadline_seconds * CLOSING_SHARE:
        return "limit_time"
    return None
