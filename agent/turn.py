"""A turn is a value: what was asked, and the steps taken since. What happens next is read from them.

The steps are the journal and the journal is the message list, so a turn read back from the store goes on like one that
never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agent import bounds as limits
from agent.config import Bounds
from agent.money.account import Refused
from agent.types import Caller, Message, Outcome, ToolCall, ToolResult


@dataclass(frozen=True, slots=True)
class ModelStep:
    """A model's reply. `closing`: the limit that made this call the last; `dropped`: tool calls beyond the bound per
    reply, which are not in `message`. Times here and below: Unix microseconds."""

    key: str
    message: Message
    finish_reasons: tuple[str, ...]
    model: str
    began: int
    ended: int
    closing: Outcome | None = None
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class ToolStep:
    """A tool call of a reply. Without a result it may be running, or have run in a process that died. `unknown`: it
    may have run, and its result is that nobody knows."""

    key: str
    call: ToolCall
    began: int
    result: ToolResult | None = None
    ended: int | None = None
    unknown: bool = False


Step: TypeAlias = ModelStep | ToolStep


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a model. `closing`: for the last time and without tools, because this limit is near."""

    key: str
    closing: Outcome | None


@dataclass(frozen=True, slots=True)
class Use:
    """Run these tool calls."""

    steps: tuple[ToolStep, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The turn is over; `text` is what the user gets, None where there is nothing to show. `reason` says what stood in
    the way of an answer, `refused` has the numbers where it was a budget, `error_type` is its name for the operator."""

    outcome: Outcome
    text: str | None
    reason: str | None = None
    refused: Refused | None = None
    error_type: str | None = None


Act: TypeAlias = Ask | Use | End


@dataclass(frozen=True, slots=True)
class Pin:
    """The prompt version that a conversation has been given."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message up to its end. `deadline` is on this process's monotonic clock, in seconds."""

    id: str
    conversation_id: str
    ordinal: int
    agent: str
    caller: Caller
    prompt: Pin
    input: str
    history: tuple[Message, ...]
    bounds: Bounds
    deadline: float
    epoch: int = 1
    steps: tuple[Step, ...] = ()
    ended: Outcome | None = None

    # --- what it has done ---

    def models(self) -> list[ModelStep]:
        return [step for step in self.steps if isinstance(step, ModelStep)]

    def tools(self) -> list[ToolStep]:
        return [step for step in self.steps if isinstance(step, ToolStep)]

    def progress(self) -> limits.Progress:
        models = len(self.models())
        return limits.Progress(models, len(self.steps) - models, self.deadline - time.monotonic())

    def messages(self) -> tuple[Message, ...]:
        """The conversation as the next request shows it, without the system prompt."""
        return (*self.history, *exchange(self.input, self.steps))

    # --- what comes next ---

    def next(self) -> Act:
        models = self.models()
        last = models[-1] if models else None
        if self.ended:
            return End(self.ended, last.message.content or None if last else None)
        if last:
            pending = tuple([step for step in self.tools() if step.result is None])
            if pending:
                return Use(pending)
            if last.closing or not last.message.tool_calls:
                return End(_outcome(last), last.message.content or None)
        done = self.progress()
        over = limits.exceeded(done, self.bounds)
        if over:
            return End(over, last.message.content or None if last else None)
        return Ask(f"m{done.model_calls}", limits.closing(done, self.bounds))

    # --- what it becomes ---

    def replied(self, step: ModelStep, tools: Sequence[ToolStep], ended: Outcome | None = None) -> Turn:
        return replace(self, steps=(*self.steps, step, *tools), ended=ended)

    def used(self, answered: Sequence[ToolStep]) -> Turn:
        """Tool steps that now have their results."""
        by_key = {step.key: step for step in answered}
        return replace(self, steps=tuple([by_key.get(step.key, step) for step in self.steps]))

    def end(self, outcome: Outcome) -> Turn:
        return replace(self, ended=outcome)


@dataclass(slots=True)
class Transcript:
    """The messages of a turn that grows: those of steps it has seen are not made again, so that they are known by
    identity. Asked only between replies, when each tool call has its result."""

    _steps: tuple[Step, ...] = ()
    _messages: tuple[Message, ...] = ()

    def of(self, turn: Turn) -> tuple[Message, ...]:
        seen = len(self._steps)
        if seen and turn.steps[:seen] == self._steps:
            self._messages += tuple(_said(turn.steps[seen:]))
        else:
            self._messages = turn.messages()
        self._steps = turn.steps
        return self._messages


def exchange(question: str, steps: Sequence[Step]) -> tuple[Message, ...]:
    """What a turn has added to its conversation."""
    return (Message("user", question), *_said(steps))


def _said(steps: Sequence[Step]) -> Iterator[Message]:
    dropped = 0
    for place, step in enumerate(steps):
        if _empty(step):
            continue
        message = _message(step)
        if isinstance(step, ModelStep):
            dropped = step.dropped
        elif dropped and (place + 1 == len(steps) or isinstance(steps[place + 1], ModelStep)):
            note = f"\n[Your reply asked for {dropped:,} more calls than may be run at once; they were not run.]"
            message = replace(message, content=message.content + note)
        yield message


def _empty(step: Step) -> bool:
    """A reply of nothing but reasoning; providers refuse it when it is sent back."""
    return isinstance(step, ModelStep) and not step.message.content and not step.message.tool_calls


def _message(step: Step) -> Message:
    if isinstance(step, ModelStep):
        return step.message
    content = step.result.content if step.result else "This call was not finished."
    return Message("tool", content, tool_call_id=step.call.id)


def _outcome(last: ModelStep) -> Outcome:
    if last.closing:
        return last.closing
    if "content_filter" in last.finish_reasons:
        return "content_filtered"
    if "length" in last.finish_reasons:
        return "limit_tokens"
    return "answered" if last.message.content else "provider_failed"
