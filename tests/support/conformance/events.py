"""The contract's rules for events: log records with an event name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.support.conformance.findings import Finding, content_findings
from tests.support.conformance.span_tables import EVENTS, OPERATIONS, PROMPT_VARIABLE
from tests.support.signals import Log

_DECLARED = frozenset().union(*(operation.declared for operation in OPERATIONS.values()))


def check_events(logs: Iterable[Log], *, content_captured: bool = False) -> list[Finding]:
    """Every breach in the events among `logs`; plain log records are passed over."""
    findings: list[Finding] = []
    for log in logs:
        if log.event_name:
            findings += [Finding("event", log.event_name, detail) for detail in _breaches(log)]
            findings += content_findings(log.event_name, log.attributes, content_captured, as_json=False)
    return findings


def _breaches(log: Log) -> Iterator[str]:
    if log.event_name not in EVENTS and not log.event_name.startswith("agent."):
        yield "the name is not declared"
    severity = EVENTS.get(log.event_name)
    if severity is not None and log.severity != severity:
        yield f"the severity is {log.severity}, should be {severity}"
    if not log.scope_schema_url:
        yield "the scope has no schema_url"
    if log.event_name in EVENTS and not log.trace_id:
        yield "it has no trace id"
    if log.event_name.endswith(".exception") and not log.attributes.get("exception.type"):
        yield "exception.type is missing"
    for name in log.attributes:
        ours = name.startswith(("gen_ai.", "openai."))
        if ours and name not in _DECLARED and not name.startswith(PROMPT_VARIABLE):
            yield f"{name} is not declared"
