"""Captured content as the conventions publish it, in JSON Schema, narrowed to what the contract lets the agent say."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from jsonschema import Draft202012Validator

from tests.support.signals import Value

_TEXT: Final = {"type": "string"}
_ID: Final = {"type": ["string", "null"]}
_ANYTHING: Final[dict[str, object]] = {}


def _part(kind: str, **properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **properties},
        "required": ["type", *properties],
    }


_PART: Final = {
    "oneOf": [
        _part("text", content=_TEXT),
        _part("reasoning", content=_TEXT),
        _part("tool_call", id=_ID, name=_TEXT, arguments=_ANYTHING),
        _part("tool_call_response", id=_ID, response=_ANYTHING),
    ]
}


def _messages(**properties: object) -> dict[str, object]:
    every = {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "parts": {"type": "array", "items": _PART},
        **properties,
    }
    return {"type": "array", "items": {"type": "object", "properties": every, "required": list(every)}}


SCHEMAS: Final[dict[str, dict[str, object]]] = {
    "gen_ai.system_instructions": {"type": "array", "items": _part("text", content=_TEXT)},
    "gen_ai.input.messages": _messages(),
    "gen_ai.output.messages": _messages(finish_reason=_TEXT),
    "gen_ai.tool.definitions": {"type": "array", "items": _part("function", name=_TEXT)},
    "gen_ai.tool.call.arguments": {"type": "object"},
    "gen_ai.tool.call.result": {"type": "object"},
}


def problems(attribute: str, content: Value) -> Iterable[str]:
    """What keeps decoded `content` from fitting the schema of `attribute`."""
    return (f"{error.json_path}: {error.message[:200]}" for error in _validator(attribute).iter_errors(content))


@cache
def _validator(attribute: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[attribute])
