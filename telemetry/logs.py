"""Log lines on stderr: one JSON object per record, with the trace it belongs to. Never content."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TextIO

from opentelemetry.trace import get_current_span

from telemetry.failure import qualified_name
from telemetry.redaction import without_secrets

OURS = ("agent", "telemetry")


class JsonLine(logging.Formatter):
    """`ts` (ISO 8601, UTC), `level`, `logger`, `message`, and where there is one `trace_id` and `span_id` (hex), and
    `exception`: its class and where it was raised. Its text stays away, because it may hold content."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        span = get_current_span().get_span_context()
        if span.is_valid:
            line |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        if record.exc_info and record.exc_info[1] is not None:  # `exc_info=False` stays False
            line["exception"] = _whereabouts(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def configure(level: str = "warning", stream: TextIO | None = None, ours: Sequence[str] = OURS) -> None:
    """Let all loggers of the process write to stderr (or `stream`): `ours` from `level` on, others from WARNING on at
    most, because at DEBUG libraries print requests with headers and bodies. Raises ValueError for an unknown level."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    root = logging.getLogger()
    for name in ours:
        logging.getLogger(name).setLevel(root.level)
    root.setLevel(max(root.level, logging.WARNING))


def _message(record: logging.LogRecord) -> str:
    """asyncio's further lines show tasks and callbacks with the exceptions and values that they hold."""
    message = _without_texts(record) if record.name.startswith("opentelemetry") else record.getMessage()
    return without_secrets(message.partition("\n")[0] if record.name == "asyncio" else message)


def _without_texts(record: logging.LogRecord) -> str:
    """The SDK puts headers, endpoints and what a collector answers into its messages: of the values there only numbers,
    codes and the classes of exceptions are shown."""
    if not isinstance(record.args, tuple):
        return str(record.msg)
    shown = (
        value
        if isinstance(value, int | float | Enum)
        else type(value).__name__
        if isinstance(value, Exception)
        else "…"
        for value in record.args
    )
    with contextlib.suppress(TypeError, ValueError):
        return str(record.msg) % tuple(shown)
    return str(record.msg)


def _whereabouts(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return qualified_name(error)
    return f"{qualified_name(error)} at {frame.tb_frame.f_globals.get('__name__', '?')}:{frame.tb_lineno}"
