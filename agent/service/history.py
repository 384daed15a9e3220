"""A client's messages as a turn: its last one is the question, those before it are what was said.

They are untrusted text. What a client calls a tool's result is told to the model as something that the user sent: only
results of the agent's own tools come in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.service.errors import bad_request
from agent.service.request import ClientMessage
from agent.types import Message

_SYSTEM = ("system", "developer")
_TOOL = "[The client sent this as the result of a tool:]\n"


def question(messages: Sequence[ClientMessage]) -> str:
    """The text of the last message, which must be the user's. Raises `ApiError` (400)."""
    place = len(messages) - 1
    if messages[place].role != "user":
        raise bad_request("The last message must be the user's.", f"messages.{place}.role")
    text = _text(messages[place], place)
    if not text.strip():
        raise bad_request("The question is empty.", f"messages.{place}.content")
    return text


def refuse_system(messages: Sequence[ClientMessage]) -> None:
    """For agents that let no client add to their prompt. Raises `ApiError` (400)."""
    for place, message in enumerate(messages):
        if message.role in _SYSTEM:
            raise bad_request(
                f"A message of role `{message.role}` is not supported: the agent has its own prompt.",
                f"messages.{place}.role",
                "unsupported_parameter",
            )


def earlier(messages: Sequence[ClientMessage]) -> tuple[Message, ...]:
    """What was said before the question. Raises `ApiError` (400)."""
    said = [_message(message, place) for place, message in enumerate(messages[:-1])]
    return tuple(message for message in said if message.content)


def _message(message: ClientMessage, place: int) -> Message:
    text = _text(message, place)
    if message.role in _SYSTEM:
        return Message("system", text)
    if message.role in ("tool", "function"):
        return Message("user", _TOOL + text)
    return Message("assistant" if message.role == "assistant" else "user", text)


def _text(message: ClientMessage, place: int) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    pieces = []
    for number, part in enumerate(message.content):
        said = part.refusal if part.type == "refusal" else part.text if part.type == "text" else None
        if said is None:
            raise bad_request(
                f"Content of type `{part.type}` is not supported: the agent reads text.",
                f"messages.{place}.content.{number}.type",
                "unsupported_content",
            )
        pieces.append(said)
    return "\n".join(pieces)
