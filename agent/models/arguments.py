"""The arguments of one tool call, put together from its pieces. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import orjson


def joined(pieces: Sequence[str]) -> str:
    """The pieces one after the other; where that is not JSON, as what some servers send instead: `{}` before the real
    ones, or in every piece all that there is so far. Arguments that were encoded twice are decoded once."""
    text = "".join(pieces)
    if len(pieces) > 1 and not is_json(text):
        text = _cumulative(pieces) or text
    return _decoded(text) if text.startswith('"') else text


def _cumulative(pieces: Sequence[str]) -> str | None:
    parts: list[str] = []
    length = 0
    for piece in pieces:
        if piece.strip() in ("{}", "null"):
            continue
        if len(piece) >= length and piece.startswith("".join(parts)):  # joined rarely: pieces are shorter than the sum
            parts, length = [], 0
        parts.append(piece)
        length += len(piece)
    so_far = "".join(parts)
    return so_far if so_far and is_json(so_far) else None


def _decoded(text: str) -> str:
    try:
        inner = orjson.loads(text)
    except (ValueError, RecursionError):
        return text
    return inner if isinstance(inner, str) and inner.lstrip().startswith("{") and is_json(inner) else text


def is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
