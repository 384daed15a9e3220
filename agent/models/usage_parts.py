"""Usage that an answer states in several pieces. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent.types import Json
from telemetry.usage import Reported, read_usage


def usage_in(body: Mapping[str, Json], choice: Mapping[str, Json] | None = None) -> dict[str, Json] | None:
    """The usage object of a body or chunk: at the usual place, at Groq's, or in its choice. One of nulls is none."""
    usage = body.get("usage") or (choice.get("usage") if choice else None)
    if not usage and (groq := body.get("x_groq")) and isinstance(groq, dict):
        usage = groq.get("usage")
    if not usage or not isinstance(usage, dict) or all(value is None for value in usage.values()):
        return None
    return usage


_DEEPEST = 4
"""Objects within a usage object; of what is nested deeper, the later one counts."""


def merged(before: Mapping[str, Json], after: dict[str, Json], depth: int = _DEEPEST) -> dict[str, Json]:
    """What both pieces say. Counts are cumulative, so the later number counts; a null or zero takes nothing back."""
    both = dict(before)
    for name, value in after.items():
        old = both.get(name)
        if depth and isinstance(old, dict) and isinstance(value, dict):
            both[name] = merged(old, value, depth - 1)
        elif value or not old:
            both[name] = value
    return both


def reported(last: dict[str, Json], all_of_it: dict[str, Json]) -> Reported:
    """What the pieces report together; where they contradict each other, what the last one does."""
    together = read_usage({"usage": all_of_it})
    if together.usage is not None or last is all_of_it:
        return together
    alone = read_usage({"usage": last})
    return together if alone.usage is None else alone
