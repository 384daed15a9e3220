"""The three spans of the contract, as they are exported, and the events that belong to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from telemetry.exporters import Telemetry, setup
from telemetry.pricing import Cost
from telemetry.usage import Usage
from tests.support.received import Received
from tests.support.signals import Span
from tests.support.tree import render
from tests.telemetry.samples import ANSWERED, ATTEMPT, CALL, KNOWN, MODEL


@pytest.fixture
def telemetry(otlp_http: Received) -> Iterator[Telemetry]:
    telemetry = setup({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}, version="1", known=KNOWN)
    yield telemetry
    telemetry.shutdown()


def exported(telemetry: Telemetry, received: Received) -> list[Span]:
    assert telemetry.flush()
    return list(received.spans)


def test_the_trace_of_a_turn(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.invoke_agent("helpdesk", "turn-1", conversation_id="c-1") as turn:
        with telemetry.spans.chat(CALL) as call:
            call.retry("rate_limit", 0.5)
            call.finish(replace(ATTEMPT, error_type="rate_limit", usage=None), replace(ATTEMPT, number=2))
        with telemetry.spans.execute_tool("helpdesk", "lookup_user", "t-1", description="Looks up.") as tool:
            tool.fail("TimeoutError")
        turn.finish("answered", cost_nano_usd=2_000, finish_reasons=("stop",), input_tokens=1_000, output_tokens=100)
    assert render(exported(telemetry, otlp_http)) == (
        "invoke_agent helpdesk INTERNAL gen_ai.response.finish_reasons=stop gen_ai.usage.input_tokens=1000 "
        "gen_ai.usage.output_tokens=100 agent.outcome=answered\n"
        "  chat gpt-5-mini CLIENT gen_ai.response.finish_reasons=stop gen_ai.usage.input_tokens=1000 "
        "gen_ai.usage.output_tokens=100 agent.attempts=2\n"
        "    * agent.retry rate_limit\n"
        "  execute_tool lookup_user INTERNAL ERROR TimeoutError gen_ai.tool.call.id=t-1"
    )


def test_chat_in_full(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.chat(replace(CALL, stream=True)) as span:
        span.finish(replace(ATTEMPT, first_chunk=0.25, service_tier="default", system_fingerprint="fp"))
    (chat,) = exported(telemetry, otlp_http)
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.max_tokens": 1_024,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.stream": True,
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.prompt.name": "helpdesk",
        "gen_ai.prompt.version": "1",
        "gen_ai.conversation.id": "conversation-1",
        "openai.api.type": "chat_completions",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": ANSWERED,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 500,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp",
        "agent.prompt.digest": "sha256:0",
        "agent.tenant": "acme",
        "user.id": "u-1",
        "agent.cost.usd": 0.000002,
        "agent.cost.quality": "measured",
        "agent.held.usd": 0.000006,
        "agent.attempts": 1,
    }
    assert type(chat.attributes["gen_ai.request.temperature"]) is float
    assert (chat.kind, chat.status) == ("CLIENT", "UNSET")


def test_agent_and_tool_in_full(telemetry: Telemetry, otlp_http: Received) -> None:
    spans = telemetry.spans
    with spans.invoke_agent(
        "helpdesk", "turn-1", conversation_id="c-1", model=MODEL, tenant="acme", user="u-1"
    ) as turn:
        with spans.execute_tool(
            "helpdesk",
            "search_kb",
            "t-1",
            description="Searches.",
            conversation_id="c-1",
            tenant="acme",
            user="u-1",
        ):
            pass
        turn.finish("answered", cost_nano_usd=2_000, finish_reasons=("stop",), input_tokens=7, output_tokens=8)
    tool, agent = exported(telemetry, otlp_http)
    assert agent.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "helpdesk",
        "gen_ai.conversation.id": "c-1",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 8,
        "agent.turn.id": "turn-1",
        "agent.outcome": "answered",
        "agent.turn.cost.usd": 0.000002,
        "agent.tenant": "acme",
        "user.id": "u-1",
    }
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search_kb",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Searches.",
        "gen_ai.tool.call.id": "t-1",
        "gen_ai.agent.name": "helpdesk",
        "gen_ai.conversation.id": "c-1",
        "agent.tenant": "acme",
        "user.id": "u-1",
    }


def test_a_call_sums_its_attempts_as_the_ledger_does(telemetry: Telemetry, otlp_http: Received) -> None:
    """Two measured attempts, the first a billed failure, and one of which only an estimate is known."""
    billed = replace(ATTEMPT, error_type="malformed", usage=Usage(10, None))
    guessed = replace(ATTEMPT, error_type="timeout", cost=Cost(5_000, "estimated", "bound"), usage=Usage(9, 9))
    with telemetry.spans.chat(CALL) as span:
        span.finish(billed, guessed, ATTEMPT)
    (chat,) = exported(telemetry, otlp_http)
    assert chat.attributes["gen_ai.usage.input_tokens"] == 1_010
    assert chat.attributes["gen_ai.usage.output_tokens"] == 100
    assert chat.attributes["agent.cost.usd"] == 0.000009
    assert chat.attributes["agent.held.usd"] == 0.000018
    assert chat.attributes["agent.cost.quality"] == "estimated"
    assert chat.status == "UNSET"


def test_reported_usage_without_a_price_is_there(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, cost=Cost(6_000, "unknown", "bound")))
    (chat,) = exported(telemetry, otlp_http)
    assert (chat.attributes["gen_ai.usage.input_tokens"], chat.attributes["gen_ai.usage.output_tokens"]) == (1_000, 100)
    assert (chat.attributes["agent.cost.usd"], chat.attributes["agent.cost.quality"]) == (0.000006, "unknown")


def test_a_cost_that_nobody_knows_is_absent_not_zero(telemetry: Telemetry, otlp_http: Received) -> None:
    for cost in (Cost(0, "unknown", "none"), Cost(0, "measured", "free")):
        with telemetry.spans.chat(CALL) as span:
            span.finish(replace(ATTEMPT, cost=cost))
    unknown, free = exported(telemetry, otlp_http)
    assert "agent.cost.usd" not in unknown.attributes
    assert free.attributes["agent.cost.usd"] == 0


def test_a_turn_whose_tokens_nobody_reported_has_none(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.invoke_agent("helpdesk", "turn-1") as turn:
        turn.finish("cancelled", cost_nano_usd=0)
    (agent,) = exported(telemetry, otlp_http)
    assert not [key for key in agent.attributes if "usage" in key]


@pytest.mark.parametrize(
    ("parameter", "sent", "attribute", "value"),
    [
        ("seed", 7, "seed", 7),
        ("seed", "abc", "seed", None),
        ("seed", 1.5, "seed", None),
        ("seed", True, "seed", None),
        ("seed", 2**63, "seed", None),
        ("temperature", 1, "temperature", 1.0),
        ("temperature", "hot", "temperature", None),
        ("temperature", 10**400, "temperature", None),
        ("top_p", False, "top_p", None),
        ("max_tokens", "many", "max_tokens", None),
        ("stop", "END", "stop_sequences", ["END"]),
        ("stop", 3, "stop_sequences", None),
        ("reasoning_effort", "low", "reasoning.level", "low"),
        ("reasoning_effort", "\ud800", "reasoning.level", "?"),
        ("reasoning_effort", 1, "reasoning.level", None),
    ],
)
def test_a_parameter_is_exported_only_where_it_is_of_its_type(
    telemetry: Telemetry,
    otlp_http: Received,
    parameter: str,
    sent: str | int | float | bool,
    attribute: str,
    value: object,
) -> None:
    """What is sent is the configuration's business; a turn does not end because of how it is told."""
    with telemetry.spans.chat(replace(CALL, parameters=((parameter, sent),))) as span:
        span.finish(ATTEMPT)
    (chat,) = exported(telemetry, otlp_http)
    assert chat.attributes.get(f"gen_ai.request.{attribute}") == value


@pytest.mark.parametrize(("sent", "exported_as"), [("auto", None), ("flex", "flex"), (1, None)])
def test_the_service_tier_that_is_asked_for(
    telemetry: Telemetry, otlp_http: Received, sent: str | int, exported_as: str | None
) -> None:
    with telemetry.spans.chat(replace(CALL, parameters=(("service_tier", sent),))) as span:
        span.finish(ATTEMPT)
    (chat,) = exported(telemetry, otlp_http)
    assert chat.attributes.get("openai.request.service_tier") == exported_as


def test_a_retry_says_how_long_it_waited(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.chat(CALL) as span:
        span.retry("rate_limit", 0.5)
        span.finish(replace(ATTEMPT, error_type="rate_limit"), replace(ATTEMPT, number=2))
    (chat,) = exported(telemetry, otlp_http)
    (event,) = chat.events
    assert event.attributes == {"error.type": "rate_limit", "agent.retry.delay": 0.5}


def test_unknown_usage_is_absent_not_zero(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, cost=Cost(6_000, "unknown", "bound"), usage=None, finish_reasons=()))
    (chat,) = exported(telemetry, otlp_http)
    assert not [key for key in chat.attributes if "usage" in key or "finish_reasons" in key]


@pytest.mark.parametrize(
    ("told", "exported_as", "exception"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded", "_OTHER"),
        ("http_503", "http_503", "_OTHER"),
        ("api.error", "api.error", "_OTHER"),
        ("openai.RateLimitError", "openai.RateLimitError", "openai.RateLimitError"),
        ("TimeoutError", "TimeoutError", "TimeoutError"),
        ("You said: my password is hunter2", "_OTHER", "_OTHER"),
    ],
)
def test_a_failed_attempt_fails_the_call(
    telemetry: Telemetry, otlp_http: Received, told: str, exported_as: str, exception: str
) -> None:
    """A provider's code is no exception's class."""
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, error_type=told))
    (chat,) = exported(telemetry, otlp_http)
    assert (chat.status, chat.attributes["error.type"]) == ("ERROR", exported_as)
    (event,) = otlp_http.logs
    assert (event.event_name, event.severity) == ("gen_ai.client.operation.exception", "WARN")
    assert (event.attributes["error.type"], event.attributes["exception.type"]) == (exported_as, exception)
    assert event.span_id == chat.span_id


def test_the_exception_behind_a_code_is_told_by_its_class(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, error_type="rate_limit_exceeded"), failure=ConnectionResetError("canary"))
    (chat,) = exported(telemetry, otlp_http)
    (event,) = otlp_http.logs
    assert chat.attributes["error.type"] == event.attributes["error.type"] == "rate_limit_exceeded"
    assert event.attributes["exception.type"] == "ConnectionResetError"
    assert b"canary" not in otlp_http.raw


def test_an_exception_closes_the_spans_it_passes(telemetry: Telemetry, otlp_http: Received) -> None:
    with (
        pytest.raises(LookupError),
        telemetry.spans.invoke_agent("helpdesk", "turn-1"),
        telemetry.spans.execute_tool("helpdesk", "search_kb", "t-1"),
    ):
        raise LookupError("canary")
    tool, agent = exported(telemetry, otlp_http)
    for span in (tool, agent):
        assert (span.status, span.attributes["error.type"]) == ("ERROR", "LookupError")
        assert (span.events, span.status_message) == ((), "")
    (event,) = otlp_http.logs
    assert (event.event_name, event.attributes["exception.type"]) == ("gen_ai.execute_tool.exception", "LookupError")
    assert b"canary" not in otlp_http.raw


async def test_a_cancelled_task_leaves_a_closed_span(telemetry: Telemetry, otlp_http: Received) -> None:
    entered = asyncio.Event()

    async def turn() -> None:
        with telemetry.spans.invoke_agent("helpdesk", "turn-1"), telemetry.spans.chat(CALL):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(turn())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    chat, agent = exported(telemetry, otlp_http)
    assert chat.parent_id == agent.span_id
    assert chat.attributes["error.type"] == agent.attributes["error.type"] == "cancelled"


async def test_parallel_tools_are_siblings_in_tasks_and_threads(telemetry: Telemetry, otlp_http: Received) -> None:
    both = asyncio.Barrier(2)

    def run(call_id: str) -> str:
        with telemetry.spans.execute_tool("helpdesk", "search_kb", call_id) as span:
            return span.span_id

    async def tool(call_id: str) -> None:
        with telemetry.spans.execute_tool("helpdesk", "search_kb", call_id):
            await both.wait()

    with telemetry.spans.invoke_agent("helpdesk", "turn-1"):
        await asyncio.gather(tool("t-1"), tool("t-2"))
        await asyncio.to_thread(run, "t-3")
    *tools, agent = exported(telemetry, otlp_http)
    assert {span.parent_id for span in tools} == {agent.span_id}


def test_an_incoming_trace_is_continued(telemetry: Telemetry, otlp_http: Received) -> None:
    incoming = f"00-{'a1' * 16}-{'b2' * 8}-01"
    with telemetry.spans.invoke_agent("helpdesk", "turn-1", traceparent=incoming), telemetry.spans.chat(CALL):
        pass
    chat, agent = exported(telemetry, otlp_http)
    assert (agent.trace_id, agent.parent_id) == ("a1" * 16, "b2" * 8)
    assert (chat.trace_id, chat.parent_id) == ("a1" * 16, agent.span_id)


def test_a_traceparent_that_is_none_begins_a_trace(telemetry: Telemetry, otlp_http: Received) -> None:
    with telemetry.spans.invoke_agent("helpdesk", "turn-1", traceparent="00-nonsense"):
        pass
    (agent,) = exported(telemetry, otlp_http)
    assert agent.parent_id == ""


def test_ids_are_there_when_nothing_is_sampled(otlp_http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    telemetry = setup({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}, version="1", known=KNOWN)
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, error_type="timeout"))
    telemetry.shutdown()
    assert int(span.trace_id, 16) > 0
    assert span.exemplar is None
    assert otlp_http.spans == ()
    assert otlp_http.logs[0].trace_id == span.trace_id


def test_an_answer_that_utf8_cannot_say_costs_no_other_span(telemetry: Telemetry, otlp_http: Received) -> None:
    broken = "\ud800"
    with telemetry.spans.chat(CALL) as span:
        span.finish(replace(ATTEMPT, response_id=broken, response_model=broken, finish_reasons=(broken,)))
    with telemetry.spans.execute_tool("helpdesk", broken, broken):
        pass
    assert len(exported(telemetry, otlp_http)) == 2
