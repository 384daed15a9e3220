"""Reading JSON that a provider wrote and writing JSON that it can read, whatever the text holds."""

from __future__ import annotations

import json

import orjson

from agent.types import Json
from agent.unicode import whole, without_nul

LARGEST_JSON = 16 * 1024 * 1024
"""Bytes of one whole answer or event; read, they may take twenty times as many."""


def parse(data: bytes) -> Json:
    """JSON of `data`. Text that is no Unicode (bad UTF-8, lone surrogates) becomes U+FFFD. Raises ValueError."""
    if len(data) > LARGEST_JSON:
        raise ValueError(f"more than {LARGEST_JSON:,} bytes of JSON")
    try:
        return orjson.loads(data)  # type: ignore[no-any-return]
    except orjson.JSONDecodeError:
        pass
    try:
        # The standard library also takes what orjson does not: half a surrogate pair, NaN.
        return scrub(json.loads(data.decode("utf-8-sig", "replace")))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dumps(value: Json) -> bytes:
    """`value` as JSON. Lone surrogates, which no provider can read (two answer 500), become U+FFFD.
    Raises ValueError for what is nested too deeply."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        pass
    try:
        return orjson.dumps(scrub(value))
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ValueError("nested too deeply") from error


def scrub(value: Json) -> Json:
    """`value` with every surrogate pair in its strings joined and every lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [scrub(item) for item in value]
    if isinstance(value, dict):
        return {str(scrub(key)): scrub(item) for key, item in value.items()}
    return value


def text_of(content: Json) -> str:
    """The text in a message's content: a string, a part or a list of them (thoughts are not shown), null or absent."""
    if isinstance(content, str):
        return without_nul(content)
    if isinstance(content, list):
        return "".join(_text_of_part(part) for part in content)
    return _text_of_part(content)


def _text_of_part(part: Json) -> str:
    if isinstance(part, dict):
        member = _TEXT_PARTS.get(string(part.get("type") or "text"))
        part = part.get(member) if member else None
    return string(part)


_TEXT_PARTS = {"text": "text", "output_text": "text", "refusal": "refusal"}
"""The types of content that a reader is shown, and the member that holds it."""


def string(value: Json) -> str:
    """Text, without the NUL that no PostgreSQL stores; "" for what is none."""
    return without_nul(value) if isinstance(value, str) else ""
