"""What is wrong in `config/`, said so that an operator can put it right without reading code."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""`error`: nothing starts. `warning`: it starts, and is probably not what was meant. `note`: worth knowing."""

_SHOWN_CHARACTERS = 60
_SECRET_KEY = re.compile(r"(^|[._-])(key|apikey|token|secret|password|passwd|authorization|credentials?)$", re.I)
_SECRET_VALUE = re.compile(
    r"^(sk|pk|rk|ghp|gho|glpat|xox[a-z]|AKIA|eyJ|Bearer )|^(?=.*\d)(?=.*[A-Za-z])[\w+=-]{32,}$|://[^/]*@|://\S*\?"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right. `line` and `column` count from 1 and are None where there is no one place.

    `key` is the dotted path inside the file, empty for the file as a whole. `found` and `expected` are plain words
    and never hold a secret; `expected` is empty where `found` says it all.
    """

    file: str
    line: int | None
    column: int | None
    key: str
    found: str
    expected: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        severity = "" if self.severity == "error" else f"{self.severity}: "
        key = f"{self.key}: " if self.key else ""
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{place}: {severity}{key}found {self.found}{expected}"


class ConfigError(Exception):
    """`config/` cannot be used. For the operator; holds every problem of every file, not the first only."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def describe(value: object, key: str = "") -> str:
    """`value` in words, cut short; not shown where it or the name of its key looks like a secret."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str() if _SECRET_KEY.search(key) or _SECRET_VALUE.search(value):
            return "a value that looks like a secret (not shown)"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return json.dumps(value[:_SHOWN_CHARACTERS] + "…", ensure_ascii=False)
        case _:
            return json.dumps(value, ensure_ascii=False)
