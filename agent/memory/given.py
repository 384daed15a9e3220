"""What a caller gave beside the question, as the turn's row keeps it: earlier messages, and a cap of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from agent.models.bodies import dumps
from agent.types import Json, Message, ToolCall


@dataclass(frozen=True, slots=True)
class Given:
    """`before`: messages that a client keeps itself, said before the question. `max_output_tokens` lowers the turn's
    bound, never raises it."""

    before: tuple[Message, ...] = ()
    max_output_tokens: int | None = None


NOTHING = Given()


def write(given: Given) -> str | None:
    """As JSON; None where there is nothing."""
    if given == NOTHING:
        return None
    before: list[Json] = [_written(message) for message in given.before]
    return dumps({"before": before, "max_output_tokens": given.max_output_tokens}).decode()


def _written(message: Message) -> Json:
    calls: list[Json] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    return [message.role, message.content, calls, message.tool_call_id]


def read(text: str | None) -> Given:
    if text is None:
        return NOTHING
    value = orjson.loads(text)
    return Given(tuple(_message(*each) for each in value["before"]), value["max_output_tokens"])


def _message(role: Any, content: str, calls: list[list[str]], tool_call_id: str | None) -> Message:
    return Message(role, content, tuple(ToolCall(*call) for call in calls), tool_call_id)
