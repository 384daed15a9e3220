"""Arguments for a tool nobody told us about: read from its JSON schema and from what the user said."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import JsonValue

from agent.offline.wording import content_words

_QUOTED = re.compile(r"[\"“'‘]([^\"“”'‘’]+)[\"”'’]")
_NAMED = re.compile(r"\b(?:in|for|of|to|at|about|with|named)\s+([A-Z][\w-]*(?:\s[A-Z][\w-]*)*)")
_ID = re.compile(r"\b[A-Z]+-\d+\b")
_NUMBER = re.compile(r"(?<![\w-])-?\d+(?:\.\d+)?\b")

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "alex@example.com",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
Schema = dict[str, JsonValue]
DEEPEST = 8


class Arguments:
    """Fills a schema's required members from a text, using each quoted word, name and number once, in order."""

    def __init__(self, schema: Schema, said: str) -> None:
        self._definitions = _object(schema.get("$defs"))
        self._words = iter(
            [*_QUOTED.findall(said), *_ID.findall(said), *_NAMED.findall(said), *content_words(said)[-1:]]
        )
        self._numbers: Iterator[str] = iter(_NUMBER.findall(said))
        self._schema = schema

    def build(self) -> Schema:
        return self._members(self._schema, 0)

    def _members(self, schema: Schema, depth: int) -> Schema:
        properties = _object(schema.get("properties"))
        required = schema.get("required")
        wanted = required if isinstance(required, list) else []
        return {name: self._value(_object(properties.get(name)), depth + 1) for name in map(str, wanted)}

    def _value(self, schema: Schema, depth: int) -> JsonValue:
        schema = self._resolved(schema)
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[0]
        if "const" in schema:
            return schema["const"]
        return self._typed(schema, depth)

    def _typed(self, schema: Schema, depth: int) -> JsonValue:
        match schema.get("type"):
            case "string":
                return _FORMATS.get(str(schema.get("format"))) or next(self._words, "example")
            case "integer":
                return int(float(next(self._numbers, "1")))
            case "number":
                return float(next(self._numbers, "1"))
            case "boolean":
                return True
            case "array":
                return [self._value(_object(schema.get("items")), depth + 1)] if depth < DEEPEST else []
            case "object":
                return self._members(schema, depth) if depth < DEEPEST else {}
            case _:
                return None

    def _resolved(self, schema: Schema) -> Schema:
        """A `$ref` into `$defs`, or the first alternative; a type given as a list is its first."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return _object(self._definitions.get(reference.rpartition("/")[2]))
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(alternatives, list) and alternatives:
            return self._resolved(_object(alternatives[0]))
        kind = schema.get("type")
        return {**schema, "type": kind[0]} if isinstance(kind, list) and kind else schema


def _object(value: JsonValue) -> Schema:
    return value if isinstance(value, dict) else {}
