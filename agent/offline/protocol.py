"""Chat Completions on the wire: a reply as one body, as chunks, as server-sent events; errors in OpenAI's format.

The dictionaries here are the provider's boundary: faults edit them into shapes that no type would allow.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import orjson

from agent.offline.request import BYTES_PER_TOKEN, Asked, tokens
from agent.types import STAND_IN, Message, ToolCall

Body: TypeAlias = dict[str, Any]
Argument: TypeAlias = int | float | str
"""What a fault may be given."""

DONE = b"data: [DONE]\n\n"
_WORD = re.compile(r"\s*\S{1,24}|\s+$")
_LONG = 65_536
_PIECE = 16_384


def completion(asked: Asked, said: Message, model: str, number: int) -> Body:
    """The body of an unstreamed reply, cut off at the output cap with `finish_reason` `length`."""
    kept = _within(said, asked.cap)
    finish = "length" if kept != said else "tool_calls" if kept.tool_calls else "stop"
    message: Body = {"role": "assistant", "content": kept.content or None, "refusal": None, "annotations": []}
    if kept.tool_calls:
        message["tool_calls"] = [call_body(call) for call in kept.tool_calls]
    else:
        message["content"] = kept.content
    return {
        "id": f"chatcmpl-offline-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage(asked.input_tokens, output_tokens(kept), asked.cached_tokens),
        "service_tier": "default",
        "system_fingerprint": STAND_IN,
    }


def call_body(call: ToolCall) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def usage(input_tokens: int, output: int, cached: int = 0, reasoning: int = 0) -> Body:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output,
        "total_tokens": input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def output_tokens(said: Message) -> int:
    return tokens(said.content.encode()) + sum(
        tokens(f"{call.name}{call.arguments}".encode()) for call in said.tool_calls
    )


def _within(said: Message, cap: int | None) -> Message:
    """What the cap leaves of it: text first, then calls; the last one's arguments may end in the middle."""
    if cap is None or output_tokens(said) <= cap:
        return said
    room = cap * BYTES_PER_TOKEN
    text = said.content.encode()[:room].decode(errors="ignore")
    room -= len(said.content.encode())
    calls = []
    for call in said.tool_calls:
        room -= -(-len(call.name) // BYTES_PER_TOKEN) * BYTES_PER_TOKEN
        if room <= 0:
            break
        calls.append(ToolCall(call.id, call.name, call.arguments.encode()[:room].decode(errors="ignore")))
        room -= len(call.arguments.encode())
    return Message("assistant", text, tuple(calls))


def chunks(body: Body, include_usage: bool) -> list[Body]:
    """The same reply as the chunks of a stream: role, words, calls (name first, arguments after), finish, usage."""
    frame: Body = {key: body[key] for key in body if key not in ("object", "choices", "usage")}
    frame["object"] = "chat.completion.chunk"
    if include_usage and "usage" in body:
        frame["usage"] = None
    frames = [
        {**frame, "choices": [{"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": finish}]}
        for choice in body["choices"]
        for delta, finish in _deltas(choice)
    ]
    if include_usage and "usage" in body:
        frames.append({**frame, "choices": [], "usage": body["usage"]})
    return frames


def _deltas(choice: Body) -> Iterator[tuple[Body, str | None]]:
    message = choice["message"]
    content = message["content"]
    yield {"role": "assistant", "content": content if content is None else "", "refusal": None}, None
    for word in _pieces(content or ""):
        yield {"content": word}, None
    for index, call in enumerate(message.get("tool_calls", ())):
        for part in _call_deltas(call, index):
            yield {"tool_calls": [part]}, None
    yield {}, choice["finish_reason"]


def _call_deltas(call: Body, index: int) -> Iterator[Body]:
    """A call in parts, or in one if it can't be parted: it says its own `index`, or has no text as arguments."""
    arguments = call["function"].get("arguments")
    if "index" in call or not isinstance(arguments, str):
        yield {"index": index, **call}
        return
    yield {"index": index, **call, "function": {**call["function"], "arguments": ""}}
    for word in _pieces(arguments):
        yield {"index": index, "function": {"arguments": word}}


def _pieces(text: str) -> list[str]:
    """Words; but a text of megabytes in larger pieces, or its frame would outweigh it twenty times."""
    if len(text) > _LONG:
        return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return _WORD.findall(text)


def event(data: Body) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def error(message: str, kind: str, code: str | int | None = None, param: str | None = None) -> Body:
    """OpenAI's error format."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
