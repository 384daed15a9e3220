"""Metrics over OTLP, built from the same families that Prometheus scrapes, off the hot path.

The SDK has no way to hand it foreign metrics, so its data points are made here; temporality is cumulative.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import metrics_core, samples

from telemetry import names as n
from telemetry.batch import disconnect
from telemetry.destination import Destination
from telemetry.instruments import INSTRUMENTS, Instrument
from telemetry.metrics import DropReason, Signal
from telemetry.otlp import quieten, resource
from telemetry.worker import Worker

_BY_FAMILY = {i.prometheus.removesuffix("_total"): i for i in INSTRUMENTS.values()}
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class Collected(Protocol):
    def collect(self) -> Iterable[metrics_core.Metric]: ...


class MetricsPush:
    """Exports what `metrics` holds every `interval` seconds and at the end."""

    def __init__(
        self,
        metrics: Collected,
        connect: Callable[[], MetricExporter],
        dropped: Callable[[Signal, DropReason, int], None],
        *,
        version: str,
        interval: float,
    ) -> None:
        self._metrics = metrics
        self._connect = connect
        self._dropped = dropped
        self._version = version
        self._interval = interval
        self._begin()
        self.worker = Worker("telemetry export of metrics", interval, self._export)

    def restart(self) -> None:
        """In the child of a fork, after its metrics were reset: another instance, with connections of its own."""
        self._begin()
        self.worker.start()

    def close(self, timeout: float) -> None:
        """Wait for the last round, that `worker.stop()` asked for."""
        self.worker.join(timeout)
        if self._exporter is not None:
            disconnect(self._exporter)

    def _begin(self) -> None:
        self._started = time.time_ns()
        self._resource = resource(self._version)
        self._exporter: MetricExporter | None = None

    def _export(self) -> None:
        data = metrics_data(self._metrics, self._resource, self._version, self._started)
        delivered = False
        try:
            if self._exporter is None:
                self._exporter = self._connect()
            delivered = self._exporter.export(data) is MetricExportResult.SUCCESS
        finally:
            if not delivered:  # the next round carries the same sums: lost is a round, not a count
                self._dropped("metrics", "export_failed", 1)


def metric_exporter(to: Destination) -> MetricExporter:
    quieten()
    if to.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

        return OverGrpc(endpoint=to.endpoint, timeout=to.timeout)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp

    return OverHttp(endpoint=to.endpoint, timeout=to.timeout)


def metrics_data(metrics: Collected, resource: Resource, version: str, started: int) -> MetricsData:
    """All families that have series. `started` (ns) is the start of series that don't know their own."""
    scope = InstrumentationScope(n.SCOPE, version, n.SCHEMA_URL)
    now = time.time_ns()
    shown = [_metric(_BY_FAMILY[f.name], f.samples, started, now) for f in metrics.collect() if f.samples]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, shown, n.SCHEMA_URL)], resource.schema_url)])


def _metric(instrument: Instrument, points: Iterable[samples.Sample], started: int, now: int) -> Metric:
    series: dict[tuple[str, ...], list[samples.Sample]] = {}
    for point in points:
        series.setdefault(tuple(point.labels[label] for label in instrument.labels), []).append(point)
    data: Sum | Gauge | Histogram
    if instrument.kind == "histogram":
        data = Histogram([_histogram(instrument, k, v, started, now) for k, v in series.items()], _CUMULATIVE)
    elif instrument.kind == "counter":
        data = Sum([_number(instrument, k, v, started, now) for k, v in series.items()], _CUMULATIVE, True)
    else:
        data = Gauge([_number(instrument, k, v, started, now) for k, v in series.items()])
    return Metric(instrument.name, instrument.help, instrument.unit, data)


def _number(
    instrument: Instrument, values: tuple[str, ...], points: list[samples.Sample], started: int, now: int
) -> NumberDataPoint:
    value = next(p for p in points if not p.name.endswith("_created"))
    exemplars = [] if value.exemplar is None else [_exemplar(value.exemplar)]
    return NumberDataPoint(_attributes(instrument, values), _created(points, started), now, value.value, exemplars)


def _histogram(
    instrument: Instrument, values: tuple[str, ...], points: list[samples.Sample], started: int, now: int
) -> HistogramDataPoint:
    buckets = [p for p in points if "le" in p.labels]
    total = next(p.value for p in points if p.name.endswith("_sum"))
    upto = [int(p.value) for p in buckets]
    return HistogramDataPoint(
        attributes=_attributes(instrument, values),
        start_time_unix_nano=_created(points, started),
        time_unix_nano=now,
        count=upto[-1],
        sum=total,
        bucket_counts=[count - before for before, count in zip([0, *upto], upto, strict=False)],
        explicit_bounds=instrument.buckets,
        min=None,  # type: ignore[arg-type] # unknown here; the encoder leaves out what is None
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(p.exemplar) for p in buckets if p.exemplar is not None],
    )


def _attributes(instrument: Instrument, values: tuple[str, ...]) -> Mapping[str, str]:
    return {attribute: value for attribute, value in zip(instrument.attributes, values, strict=True) if value}


def _created(points: Iterable[samples.Sample], started: int) -> int:
    return next((int(p.value * 1e9) for p in points if p.name.endswith("_created")), started)


def _exemplar(exemplar: samples.Exemplar) -> Exemplar:
    return Exemplar(
        filtered_attributes={},
        value=float(exemplar.value),
        time_unix_nano=int(float(exemplar.timestamp or 0) * 1e9),
        span_id=int(exemplar.labels["span_id"], 16),
        trace_id=int(exemplar.labels["trace_id"], 16),
    )
