"""What a Google-style docstring says: what the function is for, and each parameter under `Args:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENTRY = re.compile(r"(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")


@dataclass(frozen=True, slots=True)
class Described:
    summary: str
    parameters: Mapping[str, str]


def described(doc: str | None) -> Described:
    """Splits a cleaned docstring (`inspect.getdoc`). Everything outside `Args:` belongs to the summary."""
    outside: list[str] = []
    parameters: dict[str, str] = {}
    inside, indent, current = False, 0, ""
    for line in (doc or "").splitlines():
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if text in ("Args:", "Arguments:") and depth == 0:
            inside, indent = True, 0
        elif not inside or (text and depth == 0):
            inside = False
            outside.append(line.rstrip())
        elif text:
            indent = indent or depth
            entry = _ENTRY.fullmatch(text) if depth == indent else None
            if entry:
                current = entry[1]
                parameters[current] = entry[2]
            elif current:
                parameters[current] = f"{parameters[current]} {text}".strip()
    return Described("\n".join(outside).strip(), parameters)
