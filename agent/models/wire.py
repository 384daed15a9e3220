"""A request as Chat Completions JSON, encoded once."""

from __future__ import annotations

import re

from agent.config import ModelConfig
from agent.models.bodies import dumps
from agent.models.input_bound import by_bytes
from agent.models.protocol import Draft, Request
from agent.types import Json, Message

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def draft(request: Request, config: ModelConfig, earlier: tuple[Request, Draft] | None = None) -> Draft:
    """The body but for its cap. Its messages stand last, so that the next request's body begins with this one's: where
    it goes on from an `earlier` one of this model, only what is new is encoded."""
    if earlier and (new := _added(request, earlier[0])):
        head = b"%b,%b" % (earlier[1].head, dumps([_message(message) for message in new])[1:-1])
    else:
        head = _head(request, config)
    return Draft(head, config.cap_parameter, by_bytes(head, request.tool_count, config))


def _added(request: Request, earlier: Request) -> tuple[Message, ...]:
    """The messages that a request adds to an earlier one; none where it does not go on from it."""
    count = len(earlier.messages)
    before, now = [(each.system, each.tools, each.stream) for each in (earlier, request)]
    return request.messages[count:] if count and before == now and request.messages[:count] == earlier.messages else ()


def _head(request: Request, config: ModelConfig) -> bytes:
    members: dict[str, Json] = {**config.parameters, "model": config.model}
    if request.stream:
        members |= {"stream": True, "stream_options": {"include_usage": True}}
    head = dumps(members)[:-1]
    if request.tools:
        head += b',"tools":' + request.tools
    return head + b',"messages":' + dumps(_messages(request))[:-1]


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
