"""A span together with its place in the trace, as the rules look at it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.conformance.span_tables import NAMESPACES, OPERATIONS
from tests.support.signals import Span, Value

_Place = tuple[str, str]
"""Trace id and span id."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`ancestors` begin with the parent. Subscribing gives an attribute, None where it isn't there."""

    span: Span
    operation: str
    ancestors: tuple[Span, ...]
    children: tuple[Span, ...]

    def __getitem__(self, attribute: str) -> Value:
        return self.span.attributes.get(attribute)

    @property
    def agent(self) -> Span | None:
        """The agent span that it is a child of."""
        return self.ancestors[0] if self.ancestors and operation_of(self.ancestors[0]) == "invoke_agent" else None


def placed(spans: Sequence[Span]) -> Iterator[Seen]:
    """Those among `spans` that claim to be of the contract: by name or by an attribute in a closed namespace."""
    known = {(span.trace_id, span.span_id): span for span in spans}
    children: defaultdict[_Place, list[Span]] = defaultdict(list)
    for span in known.values():
        children[span.trace_id, span.parent_id].append(span)
    for place, span in known.items():
        if span.name.split(" ")[0] in OPERATIONS or any(name.startswith(NAMESPACES) for name in span.attributes):
            yield Seen(span, operation_of(span), tuple(_ancestors(span, known)), tuple(children[place]))


def operation_of(span: Span) -> str:
    name = span.attributes.get("gen_ai.operation.name")
    return name if isinstance(name, str) else ""


def count(value: Value) -> int:
    """A token count, 0 where there is none."""
    return value if type(value) is int else 0


def _ancestors(span: Span, known: Mapping[_Place, Span]) -> Iterator[Span]:
    above = known.get((span.trace_id, span.parent_id))
    while above is not None:
        yield above
        above = known.get((above.trace_id, above.parent_id))
