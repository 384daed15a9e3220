"""A trace as text, the same at every run: what tests of the whole compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.support.signals import Attributes, Span, Value

STABLE = (
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.tool.call.id",
    "agent.outcome",
    "agent.attempts",
)
"""Attributes shown unless others are asked for: the same whatever the machine and the time."""


def render(spans: Iterable[Span], keys: Sequence[str] = STABLE) -> str:
    """One line a span, `name KIND [ERROR error.type] key=value …`, children indented by two under their parent and its
    events, which begin with `*`. A span whose parent isn't among `spans` is a root.

    Ordered by start; spans that overlap in time have no order of their own and go by name, then tool call id.
    """
    known = {(span.trace_id, span.span_id): span for span in spans}
    children: dict[tuple[str, str], list[Span]] = {}
    roots: list[Span] = []
    for span in known.values():
        parent = (span.trace_id, span.parent_id)
        (children.setdefault(parent, []) if parent in known else roots).append(span)

    def lines(siblings: list[Span], depth: int) -> Iterator[str]:
        for span in _ordered(siblings):
            yield "  " * depth + _line(span, keys)
            yield from ("  " * (depth + 1) + f"* {_words(e.name, e.attributes, ())}" for e in span.events)
            yield from lines(children.get((span.trace_id, span.span_id), []), depth + 1)

    return "\n".join(lines(roots, 0))


def _ordered(siblings: list[Span]) -> Iterator[Span]:
    overlapping: list[Span] = []
    for span in sorted(siblings, key=lambda s: s.start):
        if overlapping and span.start >= max(s.end for s in overlapping):
            yield from sorted(overlapping, key=_rank)
            overlapping = []
        overlapping.append(span)
    yield from sorted(overlapping, key=_rank)


def _rank(span: Span) -> tuple[str, str, int]:
    return span.name, str(span.attributes.get("gen_ai.tool.call.id", "")), span.start


def _line(span: Span, keys: Sequence[str]) -> str:
    status = "" if span.status == "UNSET" else f" {span.status}"
    return _words(f"{span.name} {span.kind}{status}", span.attributes, keys)


def _words(head: str, attributes: Attributes, keys: Sequence[str]) -> str:
    error = attributes.get("error.type")
    shown = [f"{key}={_text(attributes[key])}" for key in keys if key in attributes]
    return " ".join([head, *([str(error)] if error is not None else []), *shown])


def _text(value: Value) -> str:
    return ",".join(_text(item) for item in value) if isinstance(value, list) else str(value)
