"""Log lines: JSON, with the trace, without content."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from telemetry import logs
from telemetry.exporters import setup


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line(stream: io.StringIO) -> None:
    with setup({}, version="1").spans.invoke_agent("helpdesk", "turn-1") as span:
        logging.getLogger("agent.loop").info("turn %s ended", "turn-1")
    line = json.loads(stream.getvalue())
    assert line.pop("ts").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "agent.loop",
        "message": "turn turn-1 ended",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }


def test_the_text_of_an_exception_stays_away(stream: io.StringIO) -> None:
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("agent").exception("tool failed")
    line = json.loads(stream.getvalue())
    assert line["exception"].startswith("ValueError at ")
    assert "canary" not in stream.getvalue()


def test_no_exception_by_false(stream: io.StringIO) -> None:
    """As the gRPC exporter writes it where a collector does not answer."""
    logging.getLogger("opentelemetry").error("not exported", exc_info=False)
    line = json.loads(stream.getvalue())
    assert line["message"] == "not exported"
    assert "exception" not in line


def test_the_level(stream: io.StringIO) -> None:
    logging.getLogger("agent").debug("quiet")
    assert stream.getvalue() == ""
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure("loud")


def test_what_libraries_say_in_passing_is_not_written(stream: io.StringIO) -> None:
    """At DEBUG the OpenAI SDK prints whole requests."""
    logs.configure("debug", stream)
    logging.getLogger("openai").debug("canary")
    logging.getLogger("httpx2").info("canary")
    logging.getLogger("agent.call").debug("ours")
    assert json.loads(stream.getvalue())["message"] == "ours"


def test_asyncio_does_not_show_what_a_task_failed_with(stream: io.StringIO) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task RuntimeError('canary')>")
    assert json.loads(stream.getvalue())["message"] == "Task exception was never retrieved"
