"""How often something happened, counted in the spans, the books and the metrics: each must come to the same."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from telemetry.labels import Known
from tests.support import books
from tests.support.signals import Histogram, Metric, Span

Metrics: TypeAlias = Mapping[str, Metric]
Times: TypeAlias = "Counter[tuple[str, ...]]"
"""How often, by label values; an absent label is empty."""

NEVER_RAN = {"not_run", "unknown_tool", "same", "cycle"}


def told(metrics: Metrics, name: str, *labels: str) -> Times:
    """A counter's values, or how many observations a histogram has."""
    times: Times = Counter()
    for point in metrics[name].points:
        value = point.value.count if isinstance(point.value, Histogram) else int(point.value)
        times[tuple(str(point.attributes.get(label, "")) for label in labels)] += value
    return times


def summed(metrics: Metrics, name: str) -> float:
    return sum(point.value.sum for point in metrics[name].points if isinstance(point.value, Histogram))


def spans_of(spans: Iterable[Span], operation: str) -> list[Span]:
    return [span for span in spans if span.attributes.get("gen_ai.operation.name") == operation]


def error(value: object) -> str:
    """An `error.type` as a label."""
    return "" if value in (None, "", "ok") else Known().error(str(value))


def by_error(spans: Iterable[Span], *attributes: str) -> Times:
    return Counter(
        (*(str(span.attributes[name]) for name in attributes), error(span.attributes.get("error.type")))
        for span in spans
    )


def retries(chats: Iterable[Span]) -> Times:
    return Counter(
        (str(span.attributes["gen_ai.request.model"]), error(event.attributes["error.type"]))
        for span in chats
        for event in span.events
        if event.name == "agent.retry"
    )


def fallbacks(rows: Sequence[Mapping[str, books.Value]]) -> Times:
    """By model, the next model, and why: where the next one was asked within the same step."""
    by_step: defaultdict[tuple[books.Value, books.Value], list[Mapping[str, books.Value]]] = defaultdict(list)
    for row in rows:
        by_step[row["turn"], row["step"]].append(row)
    return Counter(
        (str(one["model"]), str(following["model"]), error(one["outcome"]))
        for attempts in by_step.values()
        for one, following in itertools.pairwise(attempts)
        if one["call"] != following["call"]
    )


def ran(store: Path) -> Counter[str]:
    """By turn, the tool calls of its journal that were run to their end."""
    rows = [row for row in books.table(store, "step") if row["kind"] == "tool" and row["answer"]]
    return Counter(str(row["turn"]) for row in rows if json.loads(str(row["answer"]))["error_type"] not in NEVER_RAN)
