"""A provider played byte for byte: a loopback server that writes just what it is given, and our adapter before it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from agent.config import ModelConfig, RetryPolicy, Timeouts
from agent.models.openai_chat import OpenAIChat
from agent.models.protocol import Arrived, CallFailed
from agent.types import Json, Reply

Then = Literal["keep", "close", "hold"]
"""After the answer: wait for the next request, hang up, or keep silent until the client hangs up."""


@dataclass
class RawServer:
    """`hung_up` is set when the client has closed a connection; `answered` when an answer was written."""

    url: str = ""
    connections: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_server(*answers: bytes, then: Then = "keep") -> AsyncIterator[RawServer]:
    """Answers the first request with the first of `answers`, and so on; the last one again and again."""
    server = RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length")
                )
                server.requests.append((head, await reader.readexactly(length)))
                writer.write(answers[min(len(server.requests), len(answers)) - 1])
                await writer.drain()
                server.answered.set()
                if then == "close":
                    return
                if then == "hold":
                    await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            server.hung_up.set()
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()


def answer(body: bytes | Json, *headers: str, status: int = 200, content_type: str = "application/json") -> bytes:
    """A whole HTTP answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def stream(*events: Json | str, done: bool = True, end: bool = True) -> bytes:
    """A chunked event stream. A string is sent as it is, all else as JSON in `data:`. `end`: the chunked body ends."""
    lines = [event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events]
    pieces = [line.encode() for line in lines + ["data: [DONE]\n\n"] * done]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n" * end
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + body


def chunk(delta: Json = None, finish: str | None = None, **members: Json) -> Json:
    """One chunk as OpenAI sends it."""
    choice: Json = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {"id": "c1", "model": "m-2026", "choices": [choice], **members}


def text(content: str) -> Json:
    return chunk({"content": content})


def body(message: Json, finish: str | None = "stop", **members: Json) -> Json:
    """A whole answer."""
    choice: Json = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c1", "model": "m-2026", "choices": [choice], **members}


USAGE: Json = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def used(usage: Json) -> Json:
    """A chunk with nothing but usage."""
    return {"choices": [], "usage": usage}


STOP = chunk({}, "stop")


@dataclass
class Outcome:
    """What one `send` brought: a reply or a failure, the pieces of text shown, what had arrived."""

    reply: Reply | None
    failure: CallFailed | None
    shown: list[str]
    arrived: Arrived

    @property
    def replied(self) -> Reply:
        assert self.reply, self.failure and (str(self.failure), self.failure.message)
        return self.reply

    @property
    def failed(self) -> CallFailed:
        assert self.failure, self.reply
        return self.failure


def config(url: str, **members: object) -> ModelConfig:
    given = {"retries": RetryPolicy(), "timeouts": Timeouts(), **members}
    return ModelConfig.model_validate(
        {"provider": "openai", "model": "m", "base_url": url, "context_window": 8192, "output_cap": 64, **given}
    )


@asynccontextmanager
async def adapter(url: str, api_key: str | None = "sk-test", **members: object) -> AsyncIterator[OpenAIChat]:
    """Closed at its end; whatever would warn of something left open is made to do so within the test."""
    model = OpenAIChat(config(url, **members), api_key)
    try:
        yield model
    finally:
        await model.close()
        gc.collect()


async def send(
    model: OpenAIChat,
    streamed: bool = True,
    on_text: Callable[[str], Awaitable[None]] | None = None,
    time_limit: float = 30.0,
    sent: bytes = b"{}",
) -> Outcome:
    shown: list[str] = []
    arrived = Arrived()

    async def show(piece: str) -> None:
        shown.append(piece)
        if on_text is not None:
            await on_text(piece)

    try:
        reply = await model.send(sent, stream=streamed, on_text=show, time_limit=time_limit, arrived=arrived)
    except CallFailed as failure:
        return Outcome(None, failure, shown, arrived)
    return Outcome(reply, None, shown, arrived)


async def ask(
    http_answer: bytes, streamed: bool = True, then: Then = "keep", timeouts: dict[str, float] | None = None
) -> Outcome:
    """One request to a server that answers `http_answer`."""
    async with raw_server(http_answer, then=then) as server, adapter(server.url, timeouts=timeouts or {}) as model:
        return await send(model, streamed)
