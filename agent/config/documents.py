"""A file of plain values, with the place of every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from agent.config.problems import Problem, Severity, describe

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
KeyPath: TypeAlias = "tuple[str | int, ...]"
Place: TypeAlias = tuple[int, int]

MAX_PROBLEMS = 100
MAX_KEY_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file that holds a mapping. `places` gives line and column, from 1, of each key and list item."""

    file: str
    value: dict[str, Value]
    places: dict[KeyPath, Place]

    def problem(self, path: KeyPath, expected: str, found: str | None = None, severity: Severity = "error") -> Problem:
        """A problem with what is at `path`, or should be: then its place is that of the nearest key above."""
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.places), ())
        line, column = self.places.get(known, (None, None))
        key = dotted(path)
        found = describe(self.at(path), key) if found is None else found
        return Problem(self.file, line, column, key, found, expected, severity)

    def at(self, path: KeyPath) -> Value:
        """The value at `path`; None where there is none."""
        value: Value = self.value
        for part in path:
            if isinstance(value, dict) and isinstance(part, str):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def dotted(path: KeyPath) -> str:
    """A path as operators write it: `models.gpt.fallback_on.0`."""
    return ".".join(str(part)[:MAX_KEY_SHOWN] for part in path)
