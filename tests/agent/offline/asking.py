"""Requests as the tests write them, and replies as the SDK reads them."""

from __future__ import annotations

from typing import Any

import orjson
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agent.offline import helpdesk
from agent.offline.protocol import call_body
from agent.offline.request import Asked, read
from agent.types import Message

QUESTION = "I'm user U-123 and my laptop will not connect to wifi."

ALEX = {
    "id": "U-123",
    "name": "Alex Chen",
    "office": "London",
    "devices": [{"model": "MacBook Pro M3", "os": "macOS"}, {"model": "iPhone 16"}],
    "tickets": [{"id": "T-1", "subject": "Wifi drops", "status": "open"}],
}
WIFI = {
    "id": "KB-1",
    "title": "Laptop will not connect to wifi",
    "text": "## Symptoms\n- Bad.\n\n## Steps\n1. Turn `wifi` off.\n2. On again.",
}
PRINTER = {"id": "KB-2", "title": "Printer does not print", "text": "Look at the display. Clear the jam."}


def tool(name: str, *required: str) -> dict[str, Any]:
    properties = {argument: {"type": "string"} for argument in required}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("lookup_user", "user_id"), tool("search_kb", "query")]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def request(*messages: dict[str, Any], **more: Any) -> bytes:
    return orjson.dumps({"model": "any-model", "messages": messages, "tools": TOOLS, **more})


def asked(*messages: dict[str, Any], **more: Any) -> Asked:
    return read(request(*messages, **more))


class Conversation:
    """Talks to the helpdesk without a server; `results` answers its tools by name: one text, or one per call."""

    def __init__(self, results: dict[str, str | list[str]], **more: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._results = results
        self._more = more

    def say(self, text: str) -> str:
        self.calls = []
        self.messages.append(user(text))
        while (reply := self._reply()).tool_calls:
            for call in reply.tool_calls:
                self.calls.append((call.name, orjson.loads(call.arguments)))
                self.messages.append({"role": "tool", "tool_call_id": call.id, "content": self._result(call.name)})
        return reply.content

    def _reply(self) -> Message:
        reply = helpdesk.reply(asked(*self.messages, **self._more))
        calls = {"tool_calls": [call_body(call) for call in reply.tool_calls]} if reply.tool_calls else {}
        self.messages.append({"role": "assistant", "content": reply.content, **calls})
        return reply

    def _result(self, name: str) -> str:
        result = self._results[name]
        return result if isinstance(result, str) else result.pop(0)


async def ask(client: AsyncOpenAI, text: str = QUESTION, **more: Any) -> ChatCompletion:
    arguments = {"model": "any-model", "messages": [user(text)], "tools": TOOLS, **more}
    reply = await client.chat.completions.create(**arguments)
    assert isinstance(reply, ChatCompletion)
    return reply


async def stream(
    client: AsyncOpenAI, text: str = QUESTION, *, seen: list[ChatCompletionChunk] | None = None, **more: Any
) -> list[ChatCompletionChunk]:
    """The chunks; `seen` has them too where the stream fails in the middle."""
    options = {"stream": True, "stream_options": {"include_usage": True}, "tools": TOOLS, **more}
    arguments = {"model": "any-model", "messages": [user(text)], **options}
    chunks = [] if seen is None else seen
    async for chunk in await client.chat.completions.create(**arguments):
        chunks.append(chunk)
    return chunks


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def calls_of(chunks: list[ChatCompletionChunk]) -> dict[int, tuple[str, str]]:
    """Name and arguments of each index, concatenated as they came."""
    calls: dict[int, tuple[str, str]] = {}
    for chunk in chunks:
        for part in (part for choice in chunk.choices for part in choice.delta.tool_calls or []):
            name, arguments = calls.get(part.index, ("", ""))
            assert part.function is not None
            calls[part.index] = name + (part.function.name or ""), arguments + (part.function.arguments or "")
    return calls
