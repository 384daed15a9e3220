"""A breach of the telemetry contract, and the rules for content, which spans and events share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.conformance import content_schema
from tests.support.conformance.span_tables import CONTENT, PROMPT_VARIABLE, TOOL_CONTENT
from tests.support.signals import Attributes, Value


@dataclass(frozen=True, slots=True)
class Finding:
    """`rule` names the broken rule, `subject` the span, event or metric, `detail` says in words what is wrong."""

    rule: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.detail}"


def content_findings(subject: str, attributes: Attributes, captured: bool, *, as_json: bool) -> Iterator[Finding]:
    """`as_json`: content must be a JSON string, as on spans; else structured, as on events."""
    for name, value in attributes.items():
        if name not in CONTENT | TOOL_CONTENT and not name.startswith(PROMPT_VARIABLE):
            continue
        if not captured:
            yield Finding("content", subject, f"{name} is there with capture off")
        elif name.startswith(PROMPT_VARIABLE):
            if not isinstance(value, str):
                yield Finding("content", subject, f"{name} is no string: {value!r}")
        else:
            for problem in _problems(name, value, as_json):
                yield Finding("content", subject, f"{name}: {problem}")


def _problems(name: str, value: Value, as_json: bool) -> Iterator[str]:
    if isinstance(value, str) != as_json:
        yield f"should be {'a JSON string' if as_json else 'structured'}, is {type(value).__name__}"
        return
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            yield "is no JSON"
            return
    yield from content_schema.problems(name, value)
