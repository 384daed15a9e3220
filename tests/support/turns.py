"""Turns as tests want them, in a few words."""

from __future__ import annotations

import time

from agent.config import Bounds
from agent.turn import ModelStep, Pin, Step, ToolStep, Turn
from agent.types import Caller, Message, Outcome, ToolCall, ToolResult


def turn(*steps: Step, bounds: Bounds | None = None, left: float = 60.0, history: tuple[Message, ...] = ()) -> Turn:
    """A turn with so many seconds left."""
    return Turn(
        id="t1",
        conversation_id="c1",
        ordinal=0,
        agent="desk",
        caller=Caller(),
        prompt=Pin("desk", "1", "digest"),
        input="help",
        history=history,
        bounds=bounds or Bounds(),
        deadline=time.monotonic() + left,
        steps=steps,
    )


def model(
    key: str,
    text: str = "",
    *calls: ToolCall,
    finish: str = "stop",
    closing: Outcome | None = None,
    dropped: int = 0,
) -> ModelStep:
    return ModelStep(key, Message("assistant", text, calls), (finish,), "small", 1, 2, closing, dropped)


def call(name: str = "search_kb", arguments: str = "{}", identity: str = "1") -> ToolCall:
    return ToolCall(identity, name, arguments)


def used(key: str, wanted: ToolCall, content: str | None = "found", error_type: str | None = None) -> ToolStep:
    """A tool step, under way where `content` is None."""
    result = None if content is None else ToolResult(wanted, content, error_type)
    return ToolStep(key, wanted, 2, result, None if result is None else 3)
