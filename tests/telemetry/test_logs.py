"""Log lines: JSON, with the trace, without content."""

from __future__ import annotations

import http
import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal

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


@pytest.mark.parametrize(
    ("message", "args", "shown"),
    [
        ("Header format invalid! %s", ("Authorization: Basic canary",), "Header format invalid! …"),
        ("batch code: %s, reason: %s, %s", (404, "canary", OSError("canary")), "batch code: 404, reason: …, OSError"),
        ("status %s", (http.HTTPStatus.OK,), "status 200"),
        ("%d spans", (Decimal(1),), "%d spans"),
        ("named %(a)s", ({"a": "canary"},), "named %(a)s"),
        ("at http://me:canary@host/v1?key=canary", (), "at http://…@host/v1?…"),
    ],
)
def test_the_sdk_shows_no_texts(stream: io.StringIO, message: str, args: tuple[object, ...], shown: str) -> None:
    """They are headers, endpoints, and what collectors answer."""
    logging.getLogger("opentelemetry.util.re").warning(message, *args)
    assert json.loads(stream.getvalue())["message"] == shown


def test_urls_are_shown_without_their_secrets(stream: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").warning(
        'Retrying (%r) https://a:canary@b.c/d?canary "http://e/?k=canary": %s', 3, "/v1/traces?api-key=canary"
    )
    logging.getLogger("agent").info("what? yes, at http://host/path")
    lines = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert lines == [
        'Retrying (3) https://…@b.c/d?… "http://e/?…": /v1/traces?…',
        "what? yes, at http://host/path",
    ]
