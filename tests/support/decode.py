"""OTLP protobuf into the values of `signals`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.signals import (
    Attributes,
    Exemplar,
    Histogram,
    Log,
    Metric,
    MetricKind,
    Point,
    Span,
    SpanEvent,
    SpanKind,
    StatusCode,
    Value,
)

_SPAN_KINDS: tuple[SpanKind, ...] = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_CODES: tuple[StatusCode, ...] = ("UNSET", "OK", "ERROR")


def spans(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    kind=_SPAN_KINDS[span.kind],
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    status=_STATUS_CODES[span.status.code],
                    status_message=span.status.message,
                    events=tuple(_span_event(event) for event in span.events),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    scope_name=scope.scope.name,
                    scope_schema_url=scope.schema_url,
                    resource=_attributes(resource.resource.attributes),
                )


def metrics(body: bytes) -> Iterator[Metric]:
    request = ExportMetricsServiceRequest.FromString(body)
    for resource in request.resource_metrics:
        attributes = _attributes(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield _metric(metric, scope.schema_url, attributes)


def logs(body: bytes) -> Iterator[Log]:
    request = ExportLogsServiceRequest.FromString(body)
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Log(
                    event_name=record.event_name,
                    severity=SeverityNumber.Name(record.severity_number).removeprefix("SEVERITY_NUMBER_"),
                    body=_value(record.body),
                    attributes=_attributes(record.attributes),
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    scope_schema_url=scope.schema_url,
                    resource=_attributes(resource.resource.attributes),
                )


def _span_event(event: trace_pb2.Span.Event) -> SpanEvent:
    return SpanEvent(event.name, _attributes(event.attributes), event.time_unix_nano)


# --- metrics -------------------------------------------------------------------------------------------------------

_CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE


def _metric(metric: metrics_pb2.Metric, schema_url: str, resource: Attributes) -> Metric:
    kind: MetricKind = "other"
    points: Iterable[Point] = ()
    cumulative = True
    match metric.WhichOneof("data"):
        case "gauge":
            kind, points = "gauge", (_number(point, resource) for point in metric.gauge.data_points)
        case "sum":
            kind = "counter" if metric.sum.is_monotonic else "updown"
            points = (_number(point, resource) for point in metric.sum.data_points)
            cumulative = metric.sum.aggregation_temporality == _CUMULATIVE
        case "histogram":
            kind, points = "histogram", (_histogram(point, resource) for point in metric.histogram.data_points)
            cumulative = metric.histogram.aggregation_temporality == _CUMULATIVE
    return Metric(metric.name, kind, metric.unit, tuple(points), cumulative, schema_url)


def _number(point: metrics_pb2.NumberDataPoint, resource: Attributes) -> Point:
    value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    return Point(_attributes(point.attributes), value, _exemplars(point.exemplars), resource)


def _histogram(point: metrics_pb2.HistogramDataPoint, resource: Attributes) -> Point:
    value = Histogram(point.count, point.sum, tuple(point.explicit_bounds), tuple(point.bucket_counts))
    return Point(_attributes(point.attributes), value, _exemplars(point.exemplars), resource)


def _exemplars(exemplars: Iterable[metrics_pb2.Exemplar]) -> tuple[Exemplar, ...]:
    return tuple(
        Exemplar(e.as_int if e.WhichOneof("value") == "as_int" else e.as_double, e.trace_id.hex(), e.span_id.hex())
        for e in exemplars
    )


# --- attributes ----------------------------------------------------------------------------------------------------


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    attributes: Attributes = {}
    for pair in pairs:
        if pair.key in attributes:
            raise ValueError(f"attribute {pair.key} is there twice")
        attributes[pair.key] = _value(pair.value)
    return attributes


def _value(value: AnyValue) -> Value:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
    return None
