"""The checker finds each rule's breach when one is planted, and nothing in a trace that conforms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.conformance import (
    METRICS,
    Finding,
    check,
    check_events,
    check_metrics,
    never_seen,
    prometheus_name,
    without_data,
)
from tests.support.conformance.metric_tables import Instrument
from tests.support.signals import (
    Attributes,
    Exemplar,
    Histogram,
    Log,
    Metric,
    Point,
    Span,
    SpanEvent,
    SpanKind,
    StatusCode,
    Value,
)

SCHEMA = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CONVERSATION: Attributes = {"gen_ai.conversation.id": "c-1"}

AGENT: Attributes = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "helpdesk",
    "agent.turn.id": "t-1",
    "agent.outcome": "answered",
    "agent.turn.cost.usd": 0.003,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 200,
    "gen_ai.usage.output_tokens": 40,
    **CONVERSATION,
}
CHAT: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "server.address": "127.0.0.1",
    "server.port": 443,
    "gen_ai.prompt.name": "helpdesk",
    "gen_ai.prompt.version": "1",
    "gen_ai.request.max_tokens": 1000,
    "gen_ai.request.stream": True,
    "openai.api.type": "chat_completions",
    "gen_ai.response.id": "r-1",
    "gen_ai.response.model": "gpt-5-mini-2026-01-01",
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.response.time_to_first_chunk": 0.1,
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_write.input_tokens": 40,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "agent.cost.usd": 0.0015,
    "agent.cost.quality": "measured",
    "agent.held.usd": 0.01,
    "agent.attempts": 2,
    "agent.prompt.digest": "abc",
    **CONVERSATION,
}
TOOL: Attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "lookup_user",
    "gen_ai.tool.type": "function",
    "gen_ai.tool.description": "Finds a user.",
    "gen_ai.tool.call.id": "call_1",
    "gen_ai.agent.name": "helpdesk",
    "mcp.method.name": "tools/call",
    **CONVERSATION,
}
RETRY = SpanEvent("agent.retry", {"error.type": "429", "agent.retry.delay": 0.5})


def span(id: str, parent: str, name: str, kind: SpanKind, attributes: Attributes, at: int) -> Span:
    events = (RETRY,) if kind == "CLIENT" else ()
    return Span(name, kind, TRACE, id, parent, attributes, "UNSET", "", events, at, at + 9, "scope", SCHEMA)


def trace() -> dict[str, Span]:
    """A turn of two calls and a tool that breaks no rule, and a span that is none of ours."""
    return {
        "server": span("0", "", "POST /v1/responses", "SERVER", {"http.route": "/v1/responses"}, 0),
        "agent": span("1", "0", "invoke_agent helpdesk", "INTERNAL", AGENT, 1),
        "chat": span("2", "1", "chat gpt-5-mini", "CLIENT", CHAT, 2),
        "tool": span("3", "1", "execute_tool lookup_user", "INTERNAL", TOOL, 20),
        "chat again": span("4", "1", "chat gpt-5-mini", "CLIENT", CHAT, 30),
    }


Change = Callable[[Span], Span]


def having(**changes: Value) -> Change:
    """Attributes set (`__` is a dot), or taken away with None."""

    def change(span: Span) -> Span:
        named = {name.replace("__", "."): value for name, value in changes.items()}
        merged = {**span.attributes, **named}
        return replace(span, attributes={name: value for name, value in merged.items() if value is not None})

    return change


def without(*names: str) -> Change:
    return lambda span: replace(span, attributes={k: v for k, v in span.attributes.items() if k not in names})


def status(code: StatusCode, error: str | None = None) -> Change:
    return lambda span: replace(having(error__type=error)(span), status=code)


def both(first: Change, second: Change) -> Change:
    return lambda span: second(first(span))


def breaches(which: str, change: Change, *, content_captured: bool = False) -> list[Finding]:
    spans = trace()
    spans[which] = change(spans[which])
    return check(spans.values(), content_captured=content_captured)


def test_nothing_is_found_in_a_conforming_trace() -> None:
    assert check(trace().values()) == []


REQUIRED = [
    ("agent", name)
    for name in (
        "gen_ai.agent.name",
        "agent.turn.id",
        "agent.outcome",
        "agent.turn.cost.usd",
        "gen_ai.response.finish_reasons",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.conversation.id",
    )
]
REQUIRED += [
    ("chat", name)
    for name in CHAT
    if name
    not in {
        "gen_ai.request.max_tokens",
        "gen_ai.request.stream",
        "agent.held.usd",
        "gen_ai.operation.name",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    }
]
REQUIRED += [("tool", name) for name in TOOL if name not in {"mcp.method.name", "gen_ai.operation.name"}]


@pytest.mark.parametrize(("which", "name"), REQUIRED)
def test_an_attribute_that_should_be_there_is_missed(which: str, name: str) -> None:
    assert any(name in finding.detail for finding in breaches(which, without(name)))


PLANTED: list[tuple[str, str, Change]] = [
    ("operation", "chat", without("gen_ai.operation.name")),
    ("operation", "chat", having(gen_ai__operation__name="completion")),
    ("shape", "agent", lambda s: replace(s, name="invoke_agent other")),
    ("shape", "chat", lambda s: replace(s, name="chat")),
    ("shape", "chat", lambda s: replace(s, kind="INTERNAL")),
    ("shape", "tool", lambda s: replace(s, kind="CLIENT")),
    ("shape", "agent", lambda s: replace(s, kind="SERVER")),
    ("shape", "tool", lambda s: replace(s, scope_schema_url="")),
    ("presence", "chat", having(gen_ai__response__id="")),
    ("presence", "chat", having(gen_ai__response__finish_reasons=[])),
    ("names", "chat", having(gen_ai__system="openai")),
    ("names", "chat", having(gen_ai__usage__total_tokens=120)),
    ("names", "chat", having(gen_ai__usage__cache_creation__input_tokens=1)),
    ("names", "chat", having(agent__invented="x")),
    ("names", "chat", having(openai__invented="x")),
    ("names", "agent", having(gen_ai__provider__name="openai")),
    ("names", "agent", having(gen_ai__agent__id="a")),
    ("names", "agent", having(gen_ai__agent__version="1")),
    ("names", "agent", having(gen_ai__usage__cache_read__input_tokens=1)),
    ("names", "tool", having(gen_ai__usage__input_tokens=1)),
    ("status", "chat", status("OK")),
    ("status", "chat", status("ERROR")),
    ("status", "chat", status("UNSET", "429")),
    ("status", "tool", status("ERROR", "could not find user U-123")),
    ("values", "chat", having(gen_ai__response__finish_reasons="stop")),
    ("values", "agent", having(gen_ai__response__finish_reasons=[1])),
    ("values", "chat", having(agent__cost__quality="guessed")),
    ("values", "agent", having(agent__outcome="fine")),
    ("values", "tool", having(gen_ai__tool__type="extension")),
    ("values", "chat", having(gen_ai__usage__input_tokens=100.0)),
    ("values", "chat", having(agent__cost__usd="0.0015")),
    ("place", "tool", lambda s: replace(s, parent_id="2")),
    ("place", "chat again", lambda s: replace(s, parent_id="2")),
    ("place", "tool", lambda s: replace(s, end=s.start - 1)),
    ("place", "tool", having(gen_ai__conversation__id="c-2")),
    ("place", "tool", having(gen_ai__agent__name="other")),
    ("money", "chat", having(agent__turn__cost__usd=0.1)),
    ("money", "agent", having(agent__cost__usd=0.1)),
    ("sums", "agent", having(gen_ai__usage__input_tokens=199)),
    ("sums", "agent", both(status("ERROR", "timeout"), without("gen_ai.response.finish_reasons"))),
    ("outcome", "agent", status("ERROR", "timeout")),
    ("outcome", "agent", having(agent__outcome="provider_failed")),
    ("usage", "chat", having(gen_ai__usage__cache_write__input_tokens=41)),
    ("usage", "chat", having(gen_ai__usage__reasoning__output_tokens=21)),
    ("request", "chat", having(gen_ai__request__stream=False)),
    ("request", "chat", without("gen_ai.request.stream")),
    ("request", "chat", having(gen_ai__conversation__compacted=False)),
    ("request", "chat", having(openai__request__service_tier="auto")),
    ("prompt", "chat", without("gen_ai.prompt.version")),
    ("retries", "chat", having(agent__attempts=3)),
    ("retries", "chat", lambda s: replace(s, events=(replace(RETRY, attributes={"agent.retry.delay": 0.5}),))),
    ("retries", "chat", lambda s: replace(s, events=(replace(RETRY, attributes={"error.type": "429"}),))),
    ("content", "chat", having(gen_ai__input__messages="[]")),
    ("content", "chat", having(gen_ai__prompt__variable__user="U-123")),
    ("content", "tool", having(gen_ai__tool__call__arguments="{}")),
]


@pytest.mark.parametrize(("rule", "which", "change"), PLANTED)
def test_a_planted_breach_is_found(rule: str, which: str, change: Change) -> None:
    assert rule in {finding.rule for finding in breaches(which, change)}


def test_a_span_that_came_twice_is_found() -> None:
    spans = trace()
    assert [f.rule for f in check([*spans.values(), spans["tool"]])] == ["once"]


FAILED_CALL = (
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "agent.cost.usd",
)


def test_what_a_failed_call_could_not_know_is_not_missed() -> None:
    failed = having(agent__cost__quality="unknown")(without(*FAILED_CALL)(trace()["chat again"]))
    assert breaches("chat again", lambda _: status("ERROR", "openai.APITimeoutError")(failed)) == []


def test_a_measured_call_without_usage_is_found() -> None:
    usage = [name for name in CHAT if name.startswith("gen_ai.usage.")]
    findings = breaches("chat", without(*usage))
    assert [finding.rule for finding in findings] == ["usage", "usage"]


def test_a_turn_refused_before_its_first_call_needs_no_usage() -> None:
    bare = without("gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    refused = status("ERROR", "refused_budget")(having(agent__outcome="refused_budget")(bare(trace()["agent"])))
    assert check([refused]) == []


def test_a_turn_of_which_no_call_reported_usage_has_none() -> None:
    usage = [name for name in CHAT if name.startswith("gen_ai.usage.")]
    spans = {name: without(*usage)(span) for name, span in trace().items()}
    silent = having(agent__cost__quality="estimated")
    spans["chat"], spans["chat again"] = silent(spans["chat"]), silent(spans["chat again"])
    assert check(spans.values()) == []


def test_a_call_outside_of_any_agent_needs_no_prompt() -> None:
    prompt = ("gen_ai.prompt.name", "gen_ai.prompt.version", "agent.prompt.digest")
    assert check([replace(without(*prompt)(trace()["chat"]), parent_id="")]) == []


def test_what_was_never_seen_is_told() -> None:
    unseen = never_seen(trace().values(), "chat")
    assert "openai.response.system_fingerprint" in unseen
    assert "gen_ai.usage.cache_read.input_tokens" not in unseen


# --- content -------------------------------------------------------------------------------------------------------

CALL: Value = {"type": "tool_call", "id": "call_1", "name": "lookup_user", "arguments": {"user_id": "U-123"}}
ANSWER: Value = {"type": "tool_call_response", "id": "call_1", "response": "Alex Chen"}
CONTENT: dict[str, Value] = {
    "gen_ai.system_instructions": [{"type": "text", "content": "You help."}],
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "wifi"}]}],
    "gen_ai.output.messages": [
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "…"}, CALL], "finish_reason": "tool_calls"},
        {"role": "tool", "parts": [ANSWER], "finish_reason": "stop"},
    ],
    "gen_ai.tool.definitions": [{"type": "function", "name": "lookup_user"}],
}


def content(**changes: Value) -> dict[str, Value]:
    """The attributes of captured content as they stand on a span."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {name.replace(".", "__"): json.dumps(value) for name, value in (CONTENT | named).items()}


def test_captured_content_that_fits_is_no_finding() -> None:
    captured = having(**content(), gen_ai__prompt__variable__user="U-123")
    assert breaches("chat", captured, content_captured=True) == []
    result = having(gen_ai__tool__call__arguments='{"user_id":"U-123"}', gen_ai__tool__call__result='{"name":"Alex"}')
    assert breaches("tool", result, content_captured=True) == []


@pytest.mark.parametrize(
    "change",
    [
        having(gen_ai__input__messages="not JSON"),
        having(gen_ai__input__messages=[{"role": "user", "parts": []}]),
        having(**content(gen_ai__input__messages={"role": "user", "parts": []})),
        having(**content(gen_ai__input__messages=[{"role": "user", "content": "wifi"}])),
        having(**content(gen_ai__input__messages=[{"role": "human", "parts": []}])),
        having(**content(gen_ai__input__messages=[{"role": "user", "parts": [{"type": "text", "text": "wifi"}]}])),
        having(**content(gen_ai__output__messages=[{"role": "assistant", "parts": []}])),
        having(**content(gen_ai__system_instructions="You help.")),
        having(**content(gen_ai__tool__definitions=[{"type": "function"}])),
        having(gen_ai__prompt__variable__user=7),
    ],
)
def test_captured_content_that_does_not_fit_is_found(change: Change) -> None:
    assert {f.rule for f in breaches("chat", change, content_captured=True)} == {"content"}


def test_arguments_that_are_no_object_are_found() -> None:
    change = having(gen_ai__tool__call__arguments='["U-123"]')
    assert {f.rule for f in breaches("tool", change, content_captured=True)} == {"content"}


# --- events --------------------------------------------------------------------------------------------------------

DETAILS = Log("gen_ai.client.inference.operation.details", "DEBUG", None, {**CHAT, **CONTENT}, TRACE, "2", SCHEMA)
FAILURE = Log("gen_ai.client.operation.exception", "WARN", None, {"exception.type": "TimeoutError"}, TRACE, "2", SCHEMA)


def test_nothing_is_found_in_conforming_events() -> None:
    plain = Log("", "INFO", "started", {}, "", "")
    assert check_events([DETAILS, FAILURE, plain], content_captured=True) == []


@pytest.mark.parametrize(
    "log",
    [
        replace(FAILURE, event_name="gen_ai.invented"),
        replace(FAILURE, severity="ERROR"),
        replace(FAILURE, attributes={}),
        replace(FAILURE, scope_schema_url=""),
        replace(FAILURE, trace_id=""),
        replace(FAILURE, attributes={**FAILURE.attributes, "gen_ai.invented": "x"}),
        replace(DETAILS, attributes={**CHAT, "gen_ai.input.messages": "[]"}),
    ],
)
def test_a_breach_planted_in_an_event_is_found(log: Log) -> None:
    assert check_events([log], content_captured=True) != []


def test_content_on_an_event_is_found_with_capture_off() -> None:
    assert {f.rule for f in check_events([DETAILS])} == {"content"}


# --- metrics -------------------------------------------------------------------------------------------------------


def metric(name: str) -> Metric:
    """A metric as the contract wants it, with one point."""
    table = METRICS[name]
    return Metric(name, table.kind, table.unit or "{thing}", (point(table),), True, SCHEMA)


def point(table: Instrument) -> Point:
    closed = {"agent.outcome": "answered", "agent.cost.quality": "measured", "gen_ai.operation.name": "chat"}
    closed |= {"gen_ai.token.modality": "text", "gen_ai.tool.type": "function", "agent.repeat.kind": "same"}
    closed |= {"agent.rejection": "too_many", "agent.cost.side": "more"}
    attributes: Attributes = {label: closed.get(label, "x") for label in table.labels | table.optional}
    value = Histogram(1, 0.5, table.buckets, (1, *(0 for _ in table.buckets)))
    return Point(attributes, value if table.kind == "histogram" else 1, (Exemplar(1, TRACE, "2"),))


def test_nothing_is_found_in_conforming_metrics() -> None:
    everything = {name: metric(name) for name in METRICS}
    assert check_metrics(everything) == []
    assert without_data(everything) == set()
    assert check_metrics({"process.runtime.memory": Metric("process.runtime.memory", "gauge", "By", ())}) == []


DURATION = metric("gen_ai.client.inference.duration")
TOKENS = metric("gen_ai.client.inference.usage.input_tokens")
ACTIVE = metric("agent.turns.active")


def with_point(metric: Metric, **changes: object) -> Metric:
    return replace(metric, points=(replace(metric.points[0], **changes),))  # type: ignore[arg-type]


def labelled(metric: Metric, **labels: str | None) -> Metric:
    named = {name.replace("__", "."): value for name, value in labels.items()}
    merged = {**metric.points[0].attributes, **named}
    return with_point(metric, attributes={name: value for name, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    "planted",
    [
        replace(DURATION, name="gen_ai.client.operation.duration"),
        replace(DURATION, name="agent.invented"),
        replace(DURATION, unit="ms"),
        replace(DURATION, kind="counter"),
        replace(DURATION, scope_schema_url=""),
        replace(TOKENS, kind="updown"),
        replace(ACTIVE, unit="1"),
        replace(ACTIVE, unit="turns"),
        labelled(DURATION, server__address=None),
        labelled(DURATION, gen_ai__conversation__id="c-1"),
        labelled(DURATION, error__type=""),
        labelled(TOKENS, gen_ai__token__modality="smell"),
        with_point(DURATION, value=Histogram(1, 0.5, (0.1, 1.0), (1, 0, 0))),
        with_point(DURATION, value=Histogram(2, 0.5, METRICS[DURATION.name].buckets, (1, *(0 for _ in range(14))))),
        with_point(DURATION, exemplars=(Exemplar(1, "0" * 32, "2"),)),
        with_point(ACTIVE, value=-1),
    ],
)
def test_a_breach_planted_in_a_metric_is_found(planted: Metric) -> None:
    assert check_metrics({planted.name: planted}) != []


def test_prometheus_names_are_the_contract_s() -> None:
    assert prometheus_name("agent.cost.usd") == "agent_cost_usd_total"
    assert prometheus_name("agent.turn.cost.usd") == "agent_turn_cost_usd"
    assert prometheus_name("agent.ledger.cost.usd") == "agent_ledger_cost_usd"
    assert prometheus_name("gen_ai.client.inference.duration") == "gen_ai_client_inference_duration_seconds"
    input_tokens = "gen_ai.client.inference.usage.input_tokens"
    assert prometheus_name(input_tokens) == "gen_ai_client_inference_usage_input_tokens_total"
