"""A span that is open: current inside its `with`, closed with its end attributes in one go, whatever happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AnyValue

from telemetry import names as n
from telemetry.content import Json, dump
from telemetry.events import Events
from telemetry.failure import error_type
from telemetry.labels import OTHER_ERROR

_ERROR_TYPE = re.compile(r"[\w.:/-]{1,100}", re.ASCII)


class Operation:
    """One operation of the conventions.

    `trace_id` and `span_id` are hex and valid inside the `with`, sampled or not; `exemplar` holds both where the span
    will be exported, else None. A failure is told with `fail()`, or is the exception that leaves the `with`; without
    one the status stays UNSET. `error_type` is what the span says of it, for metrics to say the same. The text of an
    exception may hold content, so it leaves only where content does.
    """

    def __init__(
        self,
        tracer: Tracer,
        events: Events,
        name: str,
        kind: SpanKind,
        attributes: dict[str, AnyValue],
        parent: Context | None = None,
    ) -> None:
        self._tracer = tracer
        self._events = events
        self._name = name
        self._kind = kind
        self._start = attributes
        self._parent = parent
        self._end: dict[str, AnyValue] = {}
        self._content: dict[str, Json] = {}
        self._exception: BaseException | None = None
        self._span: Span
        self._token: Token[Context]
        self.trace_id = ""
        self.span_id = ""
        self.exemplar: dict[str, str] | None = None
        self.error_type: str | None = None

    @property
    def traceparent(self) -> str:
        """The span as a W3C `traceparent`, for who goes on with the trace elsewhere."""
        return f"00-{self.trace_id}-{self.span_id}-{'00' if self.exemplar is None else '01'}"

    def __enter__(self) -> Self:
        self._span = self._tracer.start_span(self._name, self._parent, self._kind, self._start)
        context = self._span.get_span_context()
        self.trace_id = f"{context.trace_id:032x}"
        self.span_id = f"{context.span_id:016x}"
        if context.trace_flags.sampled:
            self.exemplar = {"trace_id": self.trace_id, "span_id": self.span_id}
        self._token = attach(set_span_in_context(self._span, self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and self.error_type is None:
            self.fail(error_type(error), error)
        if self.error_type is not None:
            self._end[n.ERROR_TYPE] = self.error_type
            self._span.set_status(StatusCode.ERROR, self._description())
        if self._content and self._events.content.on_spans:
            self._span.set_attributes({key: dump(value) for key, value in self._content.items()})
        self._span.set_attributes(self._end)
        self._emit()
        detach(self._token)
        self._span.end()

    def fail(self, reason: str, exception: BaseException | None = None) -> None:
        """It failed. `reason` is a provider's code or a class's name; what looks like neither is not exported."""
        self.error_type = error_code(reason)
        self._exception = exception

    def _description(self) -> str | None:
        if self._exception is None or not self._events.content.on_spans:
            return None
        return self._events.content.text(str(self._exception))

    def _emit(self) -> None:
        """The events that belong to the operation."""

    def _attributes(self) -> Mapping[str, AnyValue]:
        return {**self._start, **self._end}


def error_code(reason: str) -> str:
    return reason if _ERROR_TYPE.fullmatch(reason) else OTHER_ERROR
