"""The span rules of the contract, applied to what a collector received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.support.conformance import rules_any, rules_operation
from tests.support.conformance.findings import Finding, content_findings
from tests.support.conformance.seen import Seen, operation_of, placed
from tests.support.conformance.span_tables import OPERATIONS
from tests.support.signals import Span


def check(spans: Iterable[Span], *, content_captured: bool = False) -> list[Finding]:
    """Every breach of the contract in `spans`, none if they conform. Spans of others (no attribute in a closed
    namespace, no operation's name) are passed over. Without `content_captured` content itself is a finding."""
    spans = tuple(spans)
    findings: list[Finding] = []
    for seen in placed(spans):
        span = seen.span
        findings += [Finding(rule, span.name, detail) for rule, detail in _breaches(seen)]
        findings += content_findings(span.name, span.attributes, content_captured, as_json=True)
    ids = Counter((span.trace_id, span.span_id) for span in spans)
    findings += [Finding("once", f"span {id}", f"came {times} times") for (_, id), times in ids.items() if times > 1]
    return findings


def never_seen(spans: Iterable[Span], operation: str) -> frozenset[str]:
    """What the contract declares for an operation (content aside) and none of `spans` carries: for the tests that
    show that all of it can be produced."""
    declared = OPERATIONS[operation]
    return (declared.declared - declared.content).difference(
        *(span.attributes for span in spans if operation_of(span) == operation)
    )


def _breaches(seen: Seen) -> Iterator[tuple[str, str]]:
    operation = OPERATIONS.get(seen.operation)
    if operation is None:
        yield "operation", f"gen_ai.operation.name is {seen['gen_ai.operation.name']!r}"
        return
    for rule in rules_any.RULES:
        for detail in rule(seen, operation):
            yield rule.__name__.removeprefix("_"), detail
    for extra in rules_operation.OF_OPERATION[seen.operation]:
        for detail in extra(seen):
            yield extra.__name__.removeprefix("_"), detail
