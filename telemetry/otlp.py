"""Traces and events over OTLP: the SDK's exporters behind our own queue. Loaded only when one is used."""

from __future__ import annotations

import copy
import logging
import time

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telemetry import names as n
from telemetry.batch import Batcher
from telemetry.destination import Destination
from telemetry.recording import RecordedExporter


class QueuedLogs(LogRecordProcessor):
    def __init__(self, batcher: Batcher[ReadableLogRecord]) -> None:
        self._batcher = batcher

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        # Without its context, which would keep alive whatever the turn had put there.
        record = copy.copy(log_record.log_record)
        record.context = Context()
        self._batcher.put(
            ReadableLogRecord(
                log_record=record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """The batcher is closed by its owner."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batcher.worker.flush(timeout_millis / 1000)


def resource(version: str) -> Resource:
    """What the environment says of the service, else `agent`, this version, and an instance id per process."""
    detected = Resource.create()
    ours = {SERVICE_VERSION: version}
    if str(detected.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = "agent"
    return detected.merge(
        Resource({k: v for k, v in ours.items() if k == SERVICE_NAME or k not in detected.attributes})
    )


def logger_provider(version: str, batcher: Batcher[ReadableLogRecord]) -> LoggerProvider:
    provider = LoggerProvider(resource=resource(version), shutdown_on_exit=False)
    provider.add_log_record_processor(QueuedLogs(batcher))
    return provider


def tracer_provider(version: str) -> TracerProvider:
    """For its sampler, as `OTEL_TRACES_SAMPLER` says, and its resource."""
    return TracerProvider(resource=resource(version), shutdown_on_exit=False)


def span_exporter(to: Destination, provider: TracerProvider, version: str) -> RecordedExporter:
    scope = InstrumentationScope(n.SCOPE, version, n.SCHEMA_URL)
    return RecordedExporter(_span_exporter(to), provider, scope, SpanLimits())


def _span_exporter(to: Destination) -> SpanExporter:
    quieten()
    if to.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(endpoint=to.endpoint, timeout=to.timeout)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp(endpoint=to.endpoint, timeout=to.timeout)


def log_exporter(to: Destination) -> LogRecordExporter:
    quieten()
    if to.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc(endpoint=to.endpoint, timeout=to.timeout)
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp(endpoint=to.endpoint, timeout=to.timeout)


# --- the SDK's complaints ----------------------------------------------------------------------------------------


class OnceAMinute(logging.Filter):
    """Lets one record a minute and logger through: a collector that is down is news once."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next.get(record.name, 0.0):
            return False
        self._next[record.name] = now + 60
        return True


_COMPLAINERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)
_ONCE_A_MINUTE = OnceAMinute()


def quieten() -> None:
    for name in _COMPLAINERS:
        logging.getLogger(name).addFilter(_ONCE_A_MINUTE)
