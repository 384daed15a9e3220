"""Spans as plain values: what somebody else does with one of ours, in a tool for instance, and what of it arrives."""

from __future__ import annotations

import os

import pytest
from opentelemetry import trace

from telemetry.exporters import Telemetry, setup
from tests.support.received import Received


def started(collector: Received) -> Telemetry:
    return setup({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}, version="1")


def test_a_tool_adds_to_its_span(otlp_http: Received) -> None:
    telemetry = started(otlp_http)
    with telemetry.spans.execute_tool("helpdesk", "search_kb", "call_1"):
        current = trace.get_current_span()
        assert current.is_recording()
        current.set_attribute("kb.articles", 3)
        current.add_event("kb.opened", {"kb.index": "main"})
        current.record_exception(ValueError("canary"))
    assert not current.is_recording()
    current.set_attribute("kb.late", True)
    current.end()
    telemetry.shutdown()

    (span,) = otlp_http.spans
    assert span.attributes["kb.articles"] == 3
    assert "kb.late" not in span.attributes
    assert [(event.name, event.attributes) for event in span.events] == [
        ("kb.opened", {"kb.index": "main"}),
        ("exception", {"exception.type": "ValueError"}),
    ]
    assert span.start <= span.events[0].time <= span.end
    assert b"canary" not in otlp_http.raw


def test_limits_of_the_environment_hold(otlp_http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "2")
    telemetry = started(otlp_http)
    with telemetry.spans.execute_tool("helpdesk", "search_kb", "call_1"):
        trace.get_current_span().set_attribute("note", "a long story")
        for number in range(4):
            trace.get_current_span().add_event(f"event {number}")
    telemetry.shutdown()

    (span,) = otlp_http.spans
    assert span.attributes["note"] == "a lon"
    assert [event.name for event in span.events] == ["event 2", "event 3"]


@pytest.mark.parametrize(("sampler", "argument", "exported"), [("always_off", "", 0), ("traceidratio", "1.0", 2)])
def test_the_sampler_of_the_environment_decides(
    otlp_http: Received, monkeypatch: pytest.MonkeyPatch, sampler: str, argument: str, exported: int
) -> None:
    monkeypatch.setitem(os.environ, "OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setitem(os.environ, "OTEL_TRACES_SAMPLER_ARG", argument)
    telemetry = started(otlp_http)
    with telemetry.spans.invoke_agent("helpdesk", "turn-1") as agent:
        with telemetry.spans.execute_tool("helpdesk", "search_kb", "call_1") as tool:
            assert tool.trace_id == agent.trace_id
        assert (agent.exemplar is None) == (exported == 0)
    telemetry.shutdown()
    assert len(otlp_http.spans) == exported


def test_what_did_not_sample_above_is_not_sampled_here(otlp_http: Received) -> None:
    telemetry = started(otlp_http)
    for flags in ("00", "01"):
        with telemetry.spans.invoke_agent("helpdesk", "turn-1", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-{flags}"):
            pass
    telemetry.shutdown()
    (span,) = otlp_http.spans
    assert (span.trace_id, span.parent_id) == ("ab" * 16, "cd" * 8)
