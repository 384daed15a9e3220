"""What the program is compared with: the tutorial's loop on `AsyncOpenAI`, and the SDK's typed stream alone."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
import httpx2
import openai

from tests.benchmarks.program import QUESTION, SYSTEM
from tests.benchmarks.tools import lookup_user, search_kb

MODEL = "gpt-4o-mini"
STEPS = 8
OPTIONS: Any = {"include_usage": True}
TOOLS: Any = [json.loads(tool.encoded) for tool in (lookup_user, search_kb)]
RUN = {tool.name: tool.run for tool in (lookup_user, search_kb)}


def conversation() -> list[Any]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


class Bare:
    """The bare loop. Nothing is bounded, counted, kept or seen."""

    def __init__(self, base_url: str, connections: int | None = None) -> None:
        """`connections` are kept open; as many as the SDK keeps unless given."""
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        client = openai.DefaultAsyncHttpxClient(limits=limits) if connections else None
        self.client = openai.AsyncOpenAI(base_url=base_url, api_key="sk-x", http_client=client)

    async def turn(self) -> str | None:
        messages = conversation()
        for _ in range(STEPS):
            answer = await self.client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
            message = answer.choices[0].message
            if not message.tool_calls:
                return message.content
            calls = [call for call in message.tool_calls if call.type == "function"]
            messages.append({"role": "assistant", "content": message.content, "tool_calls": [_asked(c) for c in calls]})
            for call in calls:
                found: Any = RUN[call.function.name](**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(await found)})
        raise AssertionError("no answer")

    async def streamed_turn(self) -> str:
        """The same turn, each reply as typed chunks."""
        messages = conversation()
        for _ in range(STEPS):
            chunks = await self.client.chat.completions.create(
                model=MODEL, messages=messages, tools=TOOLS, stream=True, stream_options=OPTIONS
            )
            text = ""
            calls: dict[int, dict[str, Any]] = {}
            async for chunk in chunks:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    for part in choice.delta.tool_calls or ():
                        call = calls.setdefault(part.index, {"id": part.id, "name": "", "arguments": ""})
                        if part.function:
                            call["name"] += part.function.name or ""
                            call["arguments"] += part.function.arguments or ""
            if not calls:
                return text
            asked = [
                {"id": call["id"], "type": "function", "function": {k: call[k] for k in ("name", "arguments")}}
                for call in calls.values()
            ]
            messages.append({"role": "assistant", "content": text, "tool_calls": asked})
            for call in calls.values():
                found: Any = RUN[call["name"]](**json.loads(call["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(await found)})
        raise AssertionError("no answer")

    async def stream(self) -> str:
        """One answer of 64 chunks, as typed chunks."""
        chunks = await self.client.chat.completions.create(
            model=MODEL, messages=conversation(), stream=True, stream_options=OPTIONS
        )
        deltas = [chunk.choices[0].delta async for chunk in chunks if chunk.choices]
        return "".join(delta.content for delta in deltas if delta.content)


def _asked(call: Any) -> Any:
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call.id, "type": "function", "function": function}


async def first_byte(session: aiohttp.ClientSession, base_url: str) -> float:
    """Seconds to the first piece of a streamed answer, by HTTP client alone."""
    asked = {"model": MODEL, "messages": conversation(), "stream": True, "stream_options": {"include_usage": True}}
    began = time.perf_counter()
    async with session.post(f"{base_url}/chat/completions", json=asked) as answer:
        await answer.content.readany()
        first = time.perf_counter() - began
        await answer.read()
    return first
