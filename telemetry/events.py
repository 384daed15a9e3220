"""The events of the conventions: log records with an event name, made from what a span knows."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.util.types import AnyValue

from telemetry import names as n
from telemetry.content import Content
from telemetry.failure import names_a_class, qualified_name
from telemetry.labels import OTHER_ERROR


class Events:
    """Emitted inside the operation's span, so that they carry its trace. Content on them is structured and there only
    when `content` captures it on events."""

    def __init__(self, logger: Logger, content: Content) -> None:
        self._logger = logger
        self.content = content

    def operation_details(self, attributes: Mapping[str, AnyValue]) -> None:
        """A model call with its content: for those who capture it on events."""
        self._emit(n.OPERATION_DETAILS, SeverityNumber.DEBUG, attributes)

    def operation_exception(self, attributes: Mapping[str, AnyValue], error: BaseException | None) -> None:
        """A model call failed; `attributes` hold its `error.type`."""
        self._emit(n.OPERATION_EXCEPTION, SeverityNumber.WARN, self._exception(attributes, error))

    def tool_exception(self, attributes: Mapping[str, AnyValue], error: BaseException | None) -> None:
        """A tool call failed; `attributes` hold its `error.type`."""
        self._emit(n.TOOL_EXCEPTION, SeverityNumber.WARN, self._exception(attributes, error))

    def _exception(self, attributes: Mapping[str, AnyValue], error: BaseException | None) -> dict[str, AnyValue]:
        """A message may hold content or secrets, so it is content; a stack trace would hold both. Of a failure that
        was told by a code alone the exception's class is not known."""
        told = str(attributes[n.ERROR_TYPE])
        known = told if names_a_class(told) else OTHER_ERROR
        event = {**attributes, n.EXCEPTION_TYPE: known if error is None else qualified_name(error)}
        if error is not None and self.content.on_events:
            event[n.EXCEPTION_MESSAGE] = self.content.text(str(error))
        return event

    def _emit(self, name: str, severity: SeverityNumber, attributes: Mapping[str, AnyValue]) -> None:
        self._logger.emit(event_name=name, severity_number=severity, severity_text=severity.name, attributes=attributes)
