"""The contract's metric tables, applied to what a collector received."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tests.support.conformance.findings import Finding
from tests.support.conformance.metric_tables import METRICS, Instrument
from tests.support.conformance.span_tables import CLOSED_SETS, NAMESPACES
from tests.support.signals import Histogram, Metric, Point


def check_metrics(metrics: Mapping[str, Metric]) -> list[Finding]:
    """Every breach of the contract in `metrics`, by name as `Received.metrics` has them. Metrics outside of our and
    the conventions' namespaces are passed over."""
    return [
        Finding("metric", metric.name, detail)
        for metric in metrics.values()
        if metric.name.startswith((*NAMESPACES, "http.server."))
        for detail in _breaches(metric)
    ]


def without_data(metrics: Mapping[str, Metric], expected: Iterable[str] = METRICS) -> set[str]:
    """Which of the contract's metrics have no point, for the tests that show that all can be produced."""
    return {name for name in expected if name not in metrics or not metrics[name].points}


def _breaches(metric: Metric) -> Iterator[str]:
    instrument = METRICS.get(metric.name)
    if instrument is None:
        yield "the name is not declared"
        return
    if metric.kind != instrument.kind:
        yield f"is a {metric.kind}, should be a {instrument.kind}"
    yield from _unit(metric, instrument)
    if not metric.scope_schema_url:
        yield "the scope has no schema_url"
    for point in metric.points:
        yield from _labels(point, instrument)
        yield from _value(point, instrument)


def _unit(metric: Metric, instrument: Instrument) -> Iterator[str]:
    if instrument.unit is not None and metric.unit != instrument.unit:
        yield f"the unit is {metric.unit!r}, should be {instrument.unit!r}"
    # The usual translation adds a unit to the name unless it is in braces, and `_ratio` to a gauge of unit 1.
    bare = metric.unit in ("", "1") if instrument.kind != "gauge" else metric.unit == ""
    if instrument.unit is None and not bare and not metric.unit.startswith("{"):
        yield f"the unit {metric.unit!r} would change the name in Prometheus"


def _labels(point: Point, instrument: Instrument) -> Iterator[str]:
    names = point.attributes.keys()
    for name in sorted(instrument.labels - names):
        yield f"{name} is missing: {point.attributes}"
    for name in sorted(names - instrument.labels - instrument.optional):
        yield f"{name} is no label of it"
    for name, value in point.attributes.items():
        if not isinstance(value, str) or not value:
            yield f"{name} is no text or empty: {value!r}"
        elif name in CLOSED_SETS and value not in CLOSED_SETS[name]:
            yield f"{name} is {value!r}"


def _value(point: Point, instrument: Instrument) -> Iterator[str]:
    if isinstance(point.value, Histogram):
        if point.value.bounds != instrument.buckets:
            yield f"the buckets are {point.value.bounds}"
        if sum(point.value.counts) != point.value.count:
            yield f"the buckets hold {sum(point.value.counts)} of {point.value.count}"
    elif point.value < 0:
        yield f"the value is {point.value}"
    for exemplar in point.exemplars:
        if not re.fullmatch("[0-9a-f]{32}", exemplar.trace_id) or not int(exemplar.trace_id, 16):
            yield f"an exemplar's trace id is {exemplar.trace_id!r}"
