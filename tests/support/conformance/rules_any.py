"""Rules for every span of the contract; each is a generator of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.support.conformance.seen import Seen, operation_of
from tests.support.conformance.span_tables import CLOSED_SETS, NAMESPACES, PROMPT_VARIABLE, Operation


def _shape(seen: Seen, operation: Operation) -> Iterator[str]:
    named = seen[operation.named]
    name = f"{seen.operation} {named if isinstance(named, str) else ''}"
    if seen.span.name != name:
        yield f"the name should be {name!r}"
    if seen.span.kind != operation.kind:
        yield f"the kind is {seen.span.kind}, should be {operation.kind}"
    if not seen.span.scope_schema_url:
        yield "the scope has no schema_url"


def _presence(seen: Seen, operation: Operation) -> Iterator[str]:
    wanted = operation.required
    if seen.span.status == "UNSET" and seen["agent.outcome"] in (None, "answered"):
        wanted |= operation.answered
    for name in sorted(wanted):
        if seen[name] in (None, []):
            yield f"{name} is missing"
    for name in seen.span.attributes:
        if seen[name] == "":
            yield f"{name} is empty"


def _names(seen: Seen, operation: Operation) -> Iterator[str]:
    for name in seen.span.attributes:
        declared = name in operation.declared or (seen.operation == "chat" and name.startswith(PROMPT_VARIABLE))
        if name.startswith(NAMESPACES) and not declared:
            yield f"{name} is not declared for {seen.operation}"


_ERROR_TYPE = re.compile(r"[\w.:<>/-]{1,100}", re.ASCII)


def _status(seen: Seen, _: Operation) -> Iterator[str]:
    error = seen["error.type"]
    if seen.span.status == "OK":
        yield "the status is OK"
    if (seen.span.status == "ERROR") != (error is not None):
        yield f"the status is {seen.span.status} and error.type {error!r}"
    if error is not None and not (isinstance(error, str) and _ERROR_TYPE.fullmatch(error)):
        yield f"error.type is no code or class: {error!r}"


def _values(seen: Seen, _: Operation) -> Iterator[str]:
    for name, value in seen.span.attributes.items():
        if name in CLOSED_SETS and not (isinstance(value, str) and value in CLOSED_SETS[name]):
            yield f"{name} is {value!r}"
        if name.startswith("gen_ai.usage.") and not (type(value) is int and value >= 0):
            yield f"{name} is no count: {value!r}"
        if name.endswith(".usd") and not (isinstance(value, int | float) and value >= 0):
            yield f"{name} is no amount: {value!r}"
    reasons = seen["gen_ai.response.finish_reasons"]
    if reasons is not None and not (isinstance(reasons, list) and all(isinstance(r, str) for r in reasons)):
        yield f"gen_ai.response.finish_reasons is no list of strings: {reasons!r}"


def _place(seen: Seen, operation: Operation) -> Iterator[str]:
    for parent in seen.ancestors[:1]:
        # A tool may itself ask a model or another agent; a model call has nothing inside.
        if operation_of(parent) == "chat" or operation_of(parent) == seen.operation == "execute_tool":
            yield f"it is a child of {parent.name!r}, should be its sibling"
    if seen.span.end < seen.span.start:
        yield "it ends before it starts"
    for name in ("gen_ai.conversation.id", "gen_ai.agent.name"):
        if seen.agent is None or name not in operation.declared:
            continue
        if seen[name] != seen.agent.attributes.get(name):
            yield f"{name} is {seen[name]!r}, its agent's {seen.agent.attributes.get(name)!r}"


def _money(seen: Seen, _: Operation) -> Iterator[str]:
    mine = {name for name in seen.span.attributes if name.endswith(".usd")}
    for ancestor in seen.ancestors:
        for name in sorted(mine & ancestor.attributes.keys()):
            yield f"{name} is on its ancestor {ancestor.name!r} too: back ends would add them"


RULES: tuple[Callable[[Seen, Operation], Iterator[str]], ...] = (
    _shape,
    _presence,
    _names,
    _status,
    _values,
    _place,
    _money,
)
