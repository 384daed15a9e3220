"""Spans written down as plain values. What the SDK exports is made of them in the background, by the exporter's thread.

The SDK's own spans check every attribute under two locks and are copied when they end: half of what a span costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time_ns

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from opentelemetry.util.types import AnyValue, Attributes

from telemetry import names as n
from telemetry.untraced import Untraced

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_UNSET = Status(StatusCode.UNSET)
_FOLLOWS = ",localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
"""How a sampler describes itself that exports every span whose parent, of this process, is exported."""


class Recorded(Span):
    """A span that will be exported: open, and handed to `put` when it ends."""

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AnyValue],
        start_time: int | None,
        put: Callable[[Recorded], None],
    ) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.attributes = attributes
        self.events: tuple[tuple[str, Attributes, int], ...] = ()
        self.status = _UNSET
        self.started = start_time or time_ns()
        self.ended: int | None = None
        self._put = put

    def end(self, end_time: int | None = None) -> None:
        if self.ended is None:
            self.ended = end_time or time_ns()
            self._put(self)

    def get_span_context(self) -> SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return self.ended is None

    def update_name(self, name: str) -> None:
        self.name = name

    def set_attribute(self, key: str, value: AnyValue) -> None:
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        if self.ended is None:  # later the exporter's thread may be reading them
            self.attributes.update(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self.events = (*self.events, (name, attributes, timestamp or time_ns()))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Its class alone: its text and its stack may hold content."""
        self.add_event("exception", {n.EXCEPTION_TYPE: type(exception).__qualname__}, timestamp)


class Recorder(Untraced):
    """A tracer whose spans are `Recorded` where the sampler wants them."""

    def __init__(self, sampler: Sampler, put: Callable[[Recorded], None]) -> None:
        self._sampler = sampler
        self._put = put
        self._ids = RandomIdGenerator()
        self._follows = sampler.get_description().endswith(_FOLLOWS) and isinstance(sampler, ParentBased)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        current = get_current_span(context)
        if self._follows and isinstance(current, Recorded):  # the sampler would say the same, and asks for it twice
            above = current.context
            own = SpanContext(above.trace_id, self._ids.generate_span_id(), False, _SAMPLED, above.trace_state)
            return Recorded(name, own, above, kind, dict(attributes or {}), start_time, self._put)
        above = current.get_span_context()
        parent = above if above.is_valid else None
        trace_id = parent.trace_id if parent else self._ids.generate_trace_id()
        sampling = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
        sampled = sampling.decision is Decision.RECORD_AND_SAMPLE
        flags = _SAMPLED if sampled else _NOT_SAMPLED
        own = SpanContext(trace_id, self._ids.generate_span_id(), False, flags, sampling.trace_state)
        if not sampled:
            return NonRecordingSpan(own)
        return Recorded(name, own, parent, kind, dict(sampling.attributes), start_time, self._put)


@dataclass(frozen=True, slots=True)
class RecordedExporter:
    """An exporter of the SDK, for recorded spans. `provider` has the resource, which the SDK renews in a forked child;
    the limits are those of `OTEL_ATTRIBUTE_…` and `OTEL_SPAN_…`."""

    exporter: SpanExporter
    provider: TracerProvider
    scope: InstrumentationScope
    limits: SpanLimits

    def export(self, batch: Sequence[Recorded], /) -> SpanExportResult:
        return self.exporter.export([self._readable(span) for span in batch])

    def shutdown(self) -> None:
        self.exporter.shutdown()

    def _readable(self, span: Recorded) -> ReadableSpan:
        limits = self.limits
        most, length = limits.max_event_attributes, limits.max_attribute_length
        kept = span.events if limits.max_events is None else span.events[-limits.max_events :]
        events = [Event(name, BoundedAttributes(most, a, max_value_len=length), at) for name, a, at in kept]
        attributes = _bounded(span.attributes, limits.max_span_attributes, limits.max_span_attribute_length)
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=self.provider.resource,
            attributes=attributes,
            events=events,
            kind=span.kind,
            status=span.status,
            start_time=span.started,
            end_time=span.ended,
            instrumentation_scope=self.scope,
        )


def _bounded(attributes: dict[str, AnyValue], most: int | None, length: int | None) -> Mapping[str, AnyValue]:
    if length is None and (most is None or len(attributes) <= most):
        return attributes  # nothing to cut, and bounding them costs as much as encoding them
    return BoundedAttributes(most, attributes, max_value_len=length)
