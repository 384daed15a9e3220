"""A whole agent before a stand-in that says what a test wants: `async with stage(tmp_path) as on: await on.turn(…)`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from agent.app import App
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.types import Event, Retrying, TextDelta, ToolFinished, TurnResult
from tests.support import books
from tests.support.app import Overrides, running_app
from tests.support.odd import json_of
from tests.support.otlp import otlp_http
from tests.support.received import Received
from tests.support.signals import Span

QUESTION = "My laptop will not connect to wifi."
ANSWERED_BY = "small-2026-01-01"
"""The dated name under which the stand-in's `answer` answers; the configuration lists it."""

COUNTS = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
NANO_COUNTS = 100 * 1_000 + 10 * 2_000
"""What COUNTS cost at 1 and 2 USD per million tokens, in nano-dollars."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One turn as everybody saw it: the caller, the ledger (its rows in order), the collector."""

    result: TurnResult
    events: tuple[Event, ...]
    ledger: tuple[Mapping[str, books.Value], ...]
    spans: tuple[Span, ...]

    @property
    def shown(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def told(self) -> list[str]:
        """What the model was told about its tool calls."""
        return [event.result.content for event in self.events if isinstance(event, ToolFinished)]

    @property
    def retries(self) -> list[str]:
        return [event.error_type for event in self.events if isinstance(event, Retrying)]

    @property
    def row(self) -> Mapping[str, books.Value]:
        """Of the only attempt."""
        (row,) = self.ledger
        return row

    @property
    def chats(self) -> list[Span]:
        return [span for span in self.spans if span.attributes.get("gen_ai.operation.name") == "chat"]

    @property
    def chat(self) -> Span:
        """Of the only call."""
        (span,) = self.chats
        return span

    @property
    def agent(self) -> Span:
        (span,) = [s for s in self.spans if s.attributes.get("gen_ai.operation.name") == "invoke_agent"]
        return span

    def booked(self, *columns: str) -> list[tuple[books.Value, ...]]:
        """These columns of each ledger row."""
        return [tuple(row[column] for column in columns) for row in self.ledger]


@dataclass
class Stage:
    """`received` has the spans once they are flushed."""

    app: App
    server: OfflineModel
    received: Received
    store: Path
    events: list[Event] = field(default_factory=list)

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    async def turn(
        self, *faults: Fault, stream: bool = True, text: str = QUESTION, conversation: str | None = None
    ) -> Seen:
        """Asks; the first request gets the first of `faults`, and so on; what is over is played helpfully."""
        self.events.clear()
        self.server.faults.push(*faults)
        result = await self.app.ask(text, stream=stream, emit=self.emit, conversation=conversation)
        return await self.seen(result)

    async def seen(self, result: TurnResult) -> Seen:
        assert await asyncio.to_thread(self.app.services.telemetry.flush)
        rows = books.table(self.store, "ledger", where=("turn", result.turn_id))
        spans = [span for span in self.received.spans if span.trace_id == result.trace_id]
        return Seen(result, tuple(self.events), tuple(rows), tuple(spans))

    def holds(self) -> list[dict[str, books.Value]]:
        return books.table(self.store, "hold")


@contextlib.asynccontextmanager
async def stage(tmp_path: Path, **overrides: Unpack[Overrides]) -> AsyncIterator[Stage]:
    """At its end no hold is open, the books can be replayed, and no task is left that was not there before."""
    before = asyncio.all_tasks()
    store = tmp_path / "store.db"
    with otlp_http() as received, OfflineModel.in_thread() as server:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_SDK_DISABLED": "false"}
        asked: Overrides = {**overrides, "env": {**env, **overrides.get("env", {})}}
        async with running_app(tmp_path, server, **asked) as app:
            yield Stage(app, server, received, store)
        assert books.table(store, "hold") == []
        assert books.replay(store) == []
    assert await left_over(before) == set()


async def left_over(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """Tasks that were not there before and do not end by themselves."""
    more = asyncio.all_tasks() - before - {asyncio.current_task()}
    return (await asyncio.wait(more, timeout=5))[1] if more else set()


def answer(
    stream: bool,
    text: str = "Turn it off and on again.",
    finish: str | None = "stop",
    usage: object = COUNTS,
    **members: object,
) -> Fault:
    """A whole answer in OpenAI's shape, streamed in words or not; `members` are added to the body or to each chunk."""
    return said(stream, {"role": "assistant", "content": text}, finish, usage, **members)


def calls(stream: bool, *tool_calls: object, finish: str | None = "tool_calls", usage: object = COUNTS) -> Fault:
    """A reply that asks for tools: `tool_calls` as they stand in a message."""
    return said(stream, {"role": "assistant", "content": None, "tool_calls": list(tool_calls)}, finish, usage)


def call(name: str, arguments: object, id: str = "call_1") -> object:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(
    stream: bool, message: Mapping[str, object], finish: str | None, usage: object = COUNTS, **members: object
) -> Fault:
    head: dict[str, object] = {"id": "chatcmpl-1", "model": ANSWERED_BY, **members}
    if not stream:
        choice: object = {"index": 0, "message": dict(message), "finish_reason": finish}
        return Fault.raw_body(json_of({**head, "choices": [choice], "usage": usage}))
    return events(
        *({**head, "choices": [chunk]} for chunk in _choices(message, finish)),
        {**head, "choices": [], "usage": usage},
    )


def _choices(message: Mapping[str, object], finish: str | None) -> list[object]:
    content = message.get("content")
    words: Sequence[str] = content.split(" ") if isinstance(content, str) and content else []
    deltas: list[object] = [{"content": word if not n else " " + word} for n, word in enumerate(words)]
    tool_calls = message.get("tool_calls")
    for index, item in enumerate(tool_calls if isinstance(tool_calls, list) else []):
        assert isinstance(item, dict)
        deltas.append({"tool_calls": [{"index": index, **item}]})
    return [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        *({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas),
        {"index": 0, "delta": {}, "finish_reason": finish},
    ]


def events(*chunks: object | str, done: bool = True) -> Fault:
    """A stream of these chunks; text is sent as it is, with a blank line after it."""
    lines = [chunk if isinstance(chunk, str) else f"data: {json_of(chunk).decode()}" for chunk in chunks]
    return Fault.raw_stream([*lines, *(["data: [DONE]"] if done else [])])
