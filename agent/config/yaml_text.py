"""YAML text to plain values, with the place of every one of them.

A subset of YAML, so that nothing in it surprises: scalars by YAML 1.2's core schema (`no`, `on` and `12:30` are
text, `010` is ten); no tags, anchors, aliases or merges; keys are text and appear once; at most 32 levels deep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import yaml

from agent.config.documents import MAX_PROBLEMS, Document, KeyPath, Place, Value, dotted
from agent.config.problems import ConfigError, Problem, describe

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(file: str, text: str, first_line: int = 1) -> Document:
    """`text`, which begins on line `first_line` of `file`. Raises ConfigError with every problem found."""
    composer = _Composer(file, text, first_line)
    value = composer.document()
    if not isinstance(value, dict) and not composer.problems:
        found = "an empty file" if value is None else describe(value)
        composer.problems.append(Problem(file, first_line, 1, "", found, "a mapping (lines of `key: value`)"))
    if composer.problems or not isinstance(value, dict):
        raise ConfigError(tuple(composer.problems))
    return Document(file, value, composer.places)


class _Composer:
    """Builds values from the parser's events: PyYAML's own composer forgets places and recurses without a bound."""

    def __init__(self, file: str, text: str, first_line: int) -> None:
        self.problems: list[Problem] = []
        self.places: dict[KeyPath, Place] = {}
        self._file, self._text, self._first_line = file, text, first_line
        self._events: Iterator[yaml.Event] = iter(())

    def document(self) -> Value:
        """The value of the only document; None, with problems noted, where there is not exactly one."""
        self._events = yaml.parse(self._text, Loader=_Loader)
        try:
            next(self._events)
            if not isinstance(next(self._events), yaml.DocumentStartEvent):
                return None
            value = self._node(next(self._events), ())
            next(self._events)
            if isinstance(event := next(self._events), yaml.DocumentStartEvent):
                self._note(event, (), "a second document", "one document in a file")
            return value
        except yaml.YAMLError as error:
            self._syntax(error)
        except _Stopped:
            pass
        return None

    def _node(self, event: yaml.Event, path: KeyPath) -> Value:
        self.places.setdefault(path, self._place(event.start_mark))
        if len(path) > MAX_DEPTH:
            self._note(event, path[:3], f"more than {MAX_DEPTH} levels", "less nesting")
            raise _Stopped
        if getattr(event, "anchor", None) is not None:
            self._note(event, path, "an anchor or alias (`&name`, `*name`)", "the value itself, written out")
        if getattr(event, "tag", None) is not None:
            self._note(event, path, "a tag (`!name`)", "a value without a tag")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path) if isinstance(event, yaml.ScalarEvent) else None

    def _mapping(self, path: KeyPath) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, mapping)
            # What stands under an unusable key is still read, so that its own problems are reported too.
            below = (*path, "?" if key is None else key)
            self.places.setdefault(below, self._place(event.start_mark))
            value = self._node(next(self._events), below)
            if key is not None:
                mapping[key] = value
        return mapping

    def _key(self, event: yaml.Event, path: KeyPath, mapping: dict[str, Value]) -> str | None:
        key = self._node(event, (*path, "?"))
        self.places.pop((*path, "?"), None)
        if not isinstance(key, str):
            self._note(event, path, f"{describe(key)} as a key", "text as a key (put it in quotes)")
            return None
        if key in mapping:
            first = self.places[(*path, key)]
            self._note(event, (*path, key), "the key twice", f"it once (the first is on line {first[0]})")
            return None
        return key

    def _sequence(self, path: KeyPath) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Value:
        value = _plain(event.value) if event.implicit[0] else event.value
        if isinstance(value, str) and any(
            character == "\0" or "\ud800" <= character <= "\udfff" for character in value
        ):
            self._note(event, path, "an escape for NUL or half a surrogate pair", "characters that text can hold")
            return ""
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            self._note(event, path, "a number of more than 63 bits", "a smaller number")
            return 0
        if isinstance(value, float) and not math.isfinite(value):
            self._note(event, path, describe(event.value), "a finite number")
            return 0.0
        return value

    def _place(self, mark: yaml.Mark | yaml._yaml.Mark | None) -> Place:
        # Only errors lack a mark; then the first line is as near as can be said.
        if mark is None:
            return self._first_line, 1
        return mark.line + self._first_line, mark.column + 1

    def _note(self, event: yaml.Event, path: KeyPath, found: str, expected: str) -> None:
        line, column = self._place(event.start_mark)
        self.problems.append(Problem(self._file, line, column, dotted(path), found, expected))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stopped

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        if mark and self._text[mark.index : mark.index + 1] == "\t":
            found, expected = "a tab", "spaces"
        else:
            found, expected = f"text that is not YAML ({reason})", "valid YAML"
        line, column = self._place(mark)
        self.problems.append(Problem(self._file, line, column, "", found, expected))


class _Stopped(Exception):
    """Reading on would only cost time; the reason is among the problems."""


def _plain(text: str) -> Value:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        # int() refuses more than 4,300 digits; that many are too many here anyway.
        return int(text, 0 if text[:2] in ("0x", "0o") else 10) if len(text) <= 40 else MAX_INTEGER + 1
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
