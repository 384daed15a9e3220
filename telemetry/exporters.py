"""Composition: the environment in, a `Telemetry` out that records everything and exports what is asked for."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from opentelemetry._logs import LoggerProvider, NoOpLoggerProvider
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from telemetry import names as n
from telemetry.batch import Batcher
from telemetry.content import Content
from telemetry.destination import Destination, Queue, destination, number, queue
from telemetry.events import Events
from telemetry.labels import Known
from telemetry.metrics import Metrics, Signal
from telemetry.spans import Spans
from telemetry.untraced import Untraced
from telemetry.waiting import weight
from telemetry.worker import Worker

SHUTDOWN_SECONDS = 4.0

T = TypeVar("T")


class Pipeline(Protocol):
    """One signal on its way out."""

    @property
    def worker(self) -> Worker: ...
    def restart(self) -> None: ...
    def close(self, timeout: float) -> None: ...


@dataclass(frozen=True, eq=False)
class Telemetry:
    """What a program records with, and the ends of it. One per process; a forked child goes on with the same object,
    from zero."""

    spans: Spans
    metrics: Metrics
    events: Events
    registry: CollectorRegistry
    pipelines: tuple[Pipeline, ...]
    loggers: LoggerProvider
    """Kept because the SDK's renews its resource in a forked child only as long as it lives."""

    def flush(self, timeout: float = SHUTDOWN_SECONDS) -> bool:
        """Whether all that was recorded before the call was handed over within `timeout` seconds."""
        end = time.monotonic() + timeout
        done = [pipeline.worker.flush(max(0.0, end - time.monotonic())) for pipeline in self.pipelines]
        return all(done)

    def shutdown(self, timeout: float = SHUTDOWN_SECONDS) -> None:
        """Export what is left, all signals at once, for at most `timeout` seconds together. What comes later is
        dropped, and counted. May be called again."""
        atexit.unregister(self.shutdown)
        end = time.monotonic() + timeout
        for pipeline in self.pipelines:
            pipeline.worker.stop()
        for pipeline in self.pipelines:
            pipeline.close(max(0.0, end - time.monotonic()))

    def restart(self) -> None:
        """In the child of a fork."""
        self.metrics.reset()
        for pipeline in self.pipelines:
            pipeline.restart()


def setup(
    env: Mapping[str, str], *, version: str, known: Known | None = None, registry: CollectorRegistry | None = None
) -> Telemetry:
    """Traces, metrics and events go where `OTEL_*` says (`telemetry.destination`), each by itself; without an endpoint
    or exporter named there, nowhere: metrics are then still there to be scraped.

    `known` closes the labels of metrics: without it everything is `other`. Raises ValueError for a variable that says
    something unknown. Ends by itself when the interpreter does, if nobody called `shutdown()`.
    """
    registry = registry or CollectorRegistry()
    content = Content.from_env(env)
    metrics = Metrics(registry, known or Known())
    pipelines: list[Pipeline] = []
    tracer = _tracer(env, version, metrics, content, pipelines)
    loggers = _loggers(env, version, metrics, content, pipelines)
    _push_metrics(env, version, metrics, pipelines)
    events = Events(loggers.get_logger(n.SCOPE, version, n.SCHEMA_URL), content)
    spans = Spans(tracer, events)
    telemetry = Telemetry(spans, metrics, events, registry, tuple(pipelines), loggers)
    if pipelines:
        atexit.register(telemetry.shutdown)
        forked = weakref.WeakMethod(telemetry.restart)
        os.register_at_fork(after_in_child=lambda: (restart := forked()) and restart())
    return telemetry


def refusals(env: Mapping[str, str]) -> Iterator[str]:
    """Everything that `setup` would raise ValueError for: `VARIABLE=found: expected …`."""
    readings: Sequence[tuple[Signal, Callable[[Mapping[str, str]], object]]] = (
        ("traces", _traces_queue),
        ("logs", _logs_queue),
        ("metrics", _metrics_interval),
    )
    for signal, settings in readings:
        try:
            if destination(env, signal):
                settings(env)
        except ValueError as error:
            yield str(error)
    try:
        Content.from_env(env)
    except ValueError as error:
        yield str(error)


def _tracer(
    env: Mapping[str, str], version: str, metrics: Metrics, content: Content, pipelines: list[Pipeline]
) -> Tracer:
    to = destination(env, "traces")
    if to is None:
        return Untraced()
    from telemetry import otlp
    from telemetry.recording import Recorder

    provider = otlp.tracer_provider(version)
    batcher = Batcher(
        "traces",
        _knocking(to, lambda to: otlp.span_exporter(to, provider, version)),
        metrics.dropped,
        _traces_queue(env),
        weigh=(lambda span: weight(span.attributes)) if content.on_spans else None,
    )
    pipelines.append(batcher)
    return Recorder(provider.sampler, batcher.put)


def _loggers(
    env: Mapping[str, str], version: str, metrics: Metrics, content: Content, pipelines: list[Pipeline]
) -> LoggerProvider:
    to = destination(env, "logs")
    if to is None:
        return NoOpLoggerProvider()
    from telemetry import otlp

    batcher = Batcher(
        "logs",
        _knocking(to, otlp.log_exporter),
        metrics.dropped,
        _logs_queue(env),
        weigh=(lambda event: weight(event.log_record.attributes)) if content.on_events else None,
    )
    pipelines.append(batcher)
    return otlp.logger_provider(version, batcher)


def _push_metrics(env: Mapping[str, str], version: str, metrics: Metrics, pipelines: list[Pipeline]) -> None:
    to = destination(env, "metrics")
    if to is None:
        return
    from telemetry import otlp_metrics

    connect = _knocking(to, otlp_metrics.metric_exporter)
    pipelines.append(
        otlp_metrics.MetricsPush(metrics, connect, metrics.dropped, version=version, interval=_metrics_interval(env))
    )


def _knocking(to: Destination, connect: Callable[[Destination], T]) -> Callable[[], T]:
    def connected() -> T:
        to.knock()
        return connect(to)

    return connected


def _traces_queue(env: Mapping[str, str]) -> Queue:
    return queue(env, "OTEL_BSP", 5000)


def _logs_queue(env: Mapping[str, str]) -> Queue:
    return queue(env, "OTEL_BLRP", 1000)


def _metrics_interval(env: Mapping[str, str]) -> float:
    return number(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
