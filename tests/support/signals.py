"""What a collector knows after decoding OTLP: spans, metrics and log records as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | None"
Attributes: TypeAlias = dict[str, Value]

SpanKind = Literal["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
StatusCode = Literal["UNSET", "OK", "ERROR"]
MetricKind = Literal["counter", "updown", "gauge", "histogram", "other"]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    name: str
    attributes: Attributes
    time: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Ids are lower-case hex; `parent_id` is empty for a root. Times are Unix nanoseconds."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Attributes
    status: StatusCode = "UNSET"
    status_message: str = ""
    events: tuple[SpanEvent, ...] = ()
    start: int = 0
    end: int = 0
    scope_name: str = ""
    scope_schema_url: str = ""
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exemplar:
    value: float
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """`bounds` are the explicit upper bounds; `counts` has one more entry, for what is above the last."""

    count: int
    sum: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One series. `value` is a `Histogram` exactly when the metric is one."""

    attributes: Attributes
    value: int | float | Histogram
    exemplars: tuple[Exemplar, ...] = ()
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """`points` holds the latest point of each series. `counter` is a monotonic sum, `updown` one that isn't."""

    name: str
    kind: MetricKind
    unit: str
    points: tuple[Point, ...]
    cumulative: bool = True
    scope_schema_url: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """`event_name` is empty for a plain log record. `severity` is the number's name, such as `WARN`."""

    event_name: str
    severity: str
    body: Value
    attributes: Attributes
    trace_id: str
    span_id: str
    scope_schema_url: str = ""
    resource: Attributes = field(default_factory=dict)
