"""Request parameters that the conventions know, as they stand on a chat span.

A value that is not of its attribute's type is left out: what an operator or a program sends is no reason to raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Final, TypeAlias

from opentelemetry.util.types import AnyValue

from telemetry import names as n
from telemetry.content import printable

Parameter: TypeAlias = str | int | float | bool

_WHOLE, _NUMBER, _TEXT = frozenset({int}), frozenset({int, float}), frozenset({str})
_ATTRIBUTES: Final[Mapping[str, tuple[str, Set[type], Callable[[Parameter], AnyValue]]]] = {
    "max_tokens": (n.REQUEST_MAX_TOKENS, _WHOLE, int),
    "max_completion_tokens": (n.REQUEST_MAX_TOKENS, _WHOLE, int),
    "temperature": (n.REQUEST + "temperature", _NUMBER, float),
    "top_p": (n.REQUEST + "top_p", _NUMBER, float),
    "top_k": (n.REQUEST + "top_k", _NUMBER, float),
    "frequency_penalty": (n.REQUEST + "frequency_penalty", _NUMBER, float),
    "presence_penalty": (n.REQUEST + "presence_penalty", _NUMBER, float),
    "seed": (n.REQUEST + "seed", _WHOLE, int),
    "stop": (n.REQUEST + "stop_sequences", _TEXT, lambda stop: (printable(str(stop)),)),
    "reasoning_effort": (n.REQUEST + "reasoning.level", _TEXT, lambda level: printable(str(level))),
    "service_tier": (n.OPENAI_REQUEST_SERVICE_TIER, _TEXT, lambda tier: printable(str(tier))),
}
"""By their names on the wire: the attribute, the types that it is made of (a truth value is no number), and how."""

_INTEGERS = range(-(2**63), 2**63)
"""What an attribute can hold; one number beyond it would cost a whole batch of spans."""


def attributes_of(parameters: Iterable[tuple[str, Parameter]]) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {}
    for parameter, sent in parameters:
        if parameter in _ATTRIBUTES and (parameter, sent) != ("service_tier", "auto"):
            name, types, made = _ATTRIBUTES[parameter]
            if type(sent) in types and (type(sent) is not int or sent in _INTEGERS):
                attributes[name] = made(sent)
    return attributes
