"""A request as Chat Completions JSON, encoded once."""

from __future__ import annotations

import re

from agent.config import ModelConfig
from agent.models.bodies import dumps
from agent.models.input_bound import by_bytes
from agent.models.protocol import Draft, Request
from agent.types import Json, Message

RESERVED = frozenset(
    {"model", "messages", "tools", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"}
)
"""Members that `parameters` of a model may not set: they are ours, and `n` would multiply what a hold bounds."""


_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def draft(request: Request, config: ModelConfig) -> Draft:
    """The body but for its cap. Its messages stand last, so that the next request's body begins with this one's."""
    members: dict[str, Json] = {**config.parameters, "model": config.model}
    if request.stream:
        members |= {"stream": True, "stream_options": {"include_usage": True}}
    head = dumps(members)[:-1]
    if request.tools:
        head += b',"tools":' + request.tools
    head += b',"messages":' + dumps(_messages(request))[:-1]
    return Draft(head, config.cap_parameter, by_bytes(head, request.tool_count, config))


def _messages(request: Request) -> list[Json]:
    system: list[Json] = [{"role": "system", "content": request.system}] if request.system else []
    return system + [_message(message) for message in request.messages]


def _message(message: Message) -> Json:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    calls: list[Json] = [
        {"id": call.id, "type": "function", "function": {"name": _name(call.name), "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.content or None, "tool_calls": calls}


def _name(made_up: str) -> str:
    """A conversation in which a tool bears any other name is refused, every time from then on."""
    return _NOT_IN_A_NAME.sub("_", made_up[:64])
