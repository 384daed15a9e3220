"""What is counted for what happened, and what can never become a label."""

from __future__ import annotations

from dataclasses import replace

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from telemetry import names
from telemetry.attempt import Attempt
from telemetry.labels import Known
from telemetry.metrics import Metrics
from telemetry.pricing import Cost
from telemetry.usage import Usage
from tests.telemetry.samples import ANSWERED, ATTEMPT, CALL, EXEMPLAR, KNOWN, MODEL, costing


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry, KNOWN)


def series(registry: CollectorRegistry, name: str) -> list[Sample]:
    return [s for family in registry.collect() for s in family.samples if s.name == name]


def total(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return sum(s.value for s in series(registry, name) if labels.items() <= s.labels.items())


USAGE = "gen_ai_client_inference_usage_{}_tokens_total"
M = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": MODEL,
    "gen_ai_response_model": ANSWERED,
    "server_address": "api.openai.com",
}


def test_an_attempt_in_full(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(replace(ATTEMPT, first_chunk=0.3, chunk_gaps=(0.01, 0.02, 0.03)))

    (duration,) = series(registry, "gen_ai_client_inference_duration_seconds_count")
    (cost,) = series(registry, "agent_cost_usd_total")
    assert (duration.value, duration.labels) == (1, {**M, "error_type": ""})
    assert (cost.value, cost.labels) == (
        0.000002,
        {
            **M,
            "gen_ai_agent_name": "helpdesk",
            "gen_ai_prompt_name": "helpdesk",
            "gen_ai_prompt_version": "1",
            "agent_cost_quality": "measured",
        },
    )
    assert total(registry, "gen_ai_client_inference_time_to_first_chunk_seconds_sum", **M) == 0.3
    assert total(registry, "gen_ai_client_inference_time_per_output_chunk_seconds_count", **M) == 3
    assert total(registry, USAGE.format("input"), **M, gen_ai_token_modality="text") == 1_000
    assert total(registry, USAGE.format("output"), **M) == 100
    assert total(registry, USAGE.format("cache_read_input"), **M) == 500
    assert total(registry, USAGE.format("reasoning_output"), **M) == 20
    assert series(registry, USAGE.format("cache_write_input")) == []
    assert total(registry, "gen_ai_client_inference_operation_input_tokens_sum", **M) == 1_000
    assert total(registry, "agent_bound_ratio_sum") == 3
    assert series(registry, "agent_bound_breaches_total") == []


def test_tokens_by_modality_add_up(metrics: Metrics, registry: CollectorRegistry) -> None:
    heard = Usage(input_tokens=100, output_tokens=9, by_modality=(("input", "audio", 30), ("input", "smell", 5)))
    metrics.attempt(replace(ATTEMPT, usage=heard))
    by_modality = {s.labels["gen_ai_token_modality"]: s.value for s in series(registry, USAGE.format("input"))}
    assert by_modality == {"text": 65, "audio": 30, "unknown": 5}


@pytest.mark.parametrize("quality", ["estimated", "unknown"])
def test_only_what_the_provider_said_is_a_token_count(
    metrics: Metrics, registry: CollectorRegistry, quality: str
) -> None:
    cost = Cost(nano_usd=6_000, quality=quality, source="book")  # type: ignore[arg-type]
    metrics.attempt(replace(ATTEMPT, cost=cost, usage=ATTEMPT.usage if quality == "estimated" else None))
    assert series(registry, USAGE.format("input")) == []
    assert total(registry, "agent_cost_usd_total", agent_cost_quality=quality) == 0.000006
    assert series(registry, "agent_bound_ratio_count") == []


def test_what_was_reported_without_a_price_is_counted(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(replace(ATTEMPT, cost=Cost(6_000, "unknown", "bound")))
    assert total(registry, USAGE.format("input"), **M) == 1_000
    assert total(registry, "gen_ai_client_inference_operation_output_tokens_sum") == 100


@pytest.mark.parametrize(("book", "sides"), [(1_500, {"more": 5e-7}), (2_600, {"less": 6e-7}), (2_000, {}), (None, {})])
def test_what_a_provider_states_beside_the_book_is_a_difference(
    metrics: Metrics, registry: CollectorRegistry, book: int | None, sides: dict[str, float]
) -> None:
    metrics.attempt(replace(ATTEMPT, cost=Cost(2_000, "measured", "provider", book_nano_usd=book)), EXEMPLAR)
    found = series(registry, "agent_cost_difference_usd_total")
    assert {s.labels["agent_cost_side"]: s.value for s in found} == sides
    assert all(s.labels["gen_ai_request_model"] == MODEL and s.exemplar for s in found)


def test_a_failed_attempt_that_was_billed_counts(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(replace(ATTEMPT, error_type="malformed"))
    assert total(registry, USAGE.format("input")) == 1_000
    assert total(registry, "gen_ai_client_inference_duration_seconds_count", error_type="malformed") == 1


def test_a_bill_beyond_the_hold_is_a_breach(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(costing(6_000))
    assert series(registry, "agent_bound_breaches_total") == []
    metrics.attempt(costing(6_001))
    assert total(registry, "agent_bound_breaches_total", gen_ai_request_model=MODEL) == 1


def test_a_bill_for_what_was_to_be_free_is_a_breach(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(replace(costing(0), held_nano_usd=0))
    assert series(registry, "agent_bound_breaches_total") == []
    metrics.attempt(replace(costing(1), held_nano_usd=0))
    metrics.attempt(replace(ATTEMPT, held_nano_usd=0, cost=Cost(0, "unknown", "none")))
    assert total(registry, "agent_bound_breaches_total") == 2
    metrics.attempt(replace(costing(1), held_nano_usd=0, call=replace(ATTEMPT.call, turn_id="")))
    assert total(registry, "agent_bound_breaches_total") == 2, "nothing is held in somebody else's loop"
    assert series(registry, "agent_bound_ratio_count") == []


def test_an_expired_hold_costs_and_has_no_duration(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.expired(replace(ATTEMPT, cost=Cost(6_000, "unknown", "bound"), usage=None))
    assert total(registry, "agent_holds_expired_total") == 1
    assert total(registry, "agent_cost_usd_total", agent_cost_quality="unknown") == 0.000006
    assert series(registry, "gen_ai_client_inference_duration_seconds_count") == []


def test_money_does_not_drift(metrics: Metrics, registry: CollectorRegistry) -> None:
    """A float that is added to a hundred thousand times shows some other number."""
    for _ in range(100_000):
        metrics.attempt(costing(1))
    assert total(registry, "agent_cost_usd_total") == 0.0001
    assert sum([1e-9] * 100_000) != 0.0001


def test_a_turn(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.turn_started("helpdesk")
    assert total(registry, "agent_turns_active", gen_ai_agent_name="helpdesk") == 1
    turn(metrics, cost_nano_usd=400_000)
    metrics.turn_ended("helpdesk")
    assert total(registry, "agent_turns_active") == 0
    assert total(registry, "agent_turns_total", agent_outcome="answered", gen_ai_prompt_version="1") == 1
    assert total(registry, "agent_turn_cost_usd_sum") == 0.0004
    assert total(registry, "agent_turn_cost_usd_bucket", le="0.0001") == 0
    assert total(registry, "agent_turn_cost_usd_bucket", le="0.0004") == 1
    assert total(registry, "agent_turn_cost_usd_bucket", le="+Inf") == 1
    assert total(registry, "gen_ai_invoke_agent_inference_calls_sum", gen_ai_agent_name="helpdesk") == 2
    assert total(registry, "gen_ai_invoke_agent_tool_calls_sum") == 3


def turn(metrics: Metrics, agent: str = "helpdesk", outcome: str = "answered", cost_nano_usd: int = 0) -> None:
    metrics.turn(
        agent=agent,
        prompt=("helpdesk", "1"),
        outcome=outcome,
        cost_nano_usd=cost_nano_usd,
        duration=1.5,
        inference_calls=2,
        tool_calls=3,
        exemplar=EXEMPLAR,
    )


def test_the_other_counters(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.tool("helpdesk", "search_kb", 0.2, "TimeoutError", EXEMPLAR)
    metrics.retry("helpdesk", MODEL, "rate_limit", EXEMPLAR)
    metrics.fallback("helpdesk", MODEL, ANSWERED, "server_error")
    metrics.repeat("helpdesk", "search_kb", "cycle")
    metrics.rejection("helpdesk", "format_disk", "unknown_tool")
    metrics.refusal("month", "total")
    metrics.dropped("traces", "queue_full", 7)
    assert total(registry, "gen_ai_execute_tool_duration_seconds_sum", error_type="TimeoutError") == 0.2
    assert total(registry, "agent_retries_total", error_type="rate_limit") == 1
    models = {"gen_ai_request_model": MODEL, "agent_fallback_model": ANSWERED}
    assert total(registry, "agent_fallbacks_total", **models) == 1
    assert total(registry, "agent_repeats_total", agent_repeat_kind="cycle") == 1
    assert total(registry, "agent_tool_rejections_total", gen_ai_tool_name="other") == 1
    assert total(registry, "agent_budget_refusals_total", agent_budget_name="month") == 1
    assert total(registry, "agent_telemetry_dropped_total", agent_signal="traces") == 7


def test_gauges_show_what_they_are_given_at_the_scrape(metrics: Metrics, registry: CollectorRegistry) -> None:
    charged = {("month", "total"): 1_500_000_000}
    metrics.watch(names.BUDGET_CHARGED, lambda: charged.items())
    metrics.watch(names.SETTLES_WAITING, lambda: [((), 3)])
    assert total(registry, "agent_budget_charged_usd", agent_budget_name="month") == 1.5
    charged["month", "total"] += 1
    assert total(registry, "agent_budget_charged_usd", agent_budget_name="month") == 1.500000001
    assert total(registry, "agent_settles_waiting") == 3
    with pytest.raises(KeyError):
        metrics.watch(names.TURNS, tuple)


def test_a_gauge_that_fails_takes_nothing_with_it(metrics: Metrics, registry: CollectorRegistry) -> None:
    def rows() -> list[tuple[tuple[str, ...], int]]:
        raise OSError("the store is gone")

    metrics.watch(names.BUDGET_HELD, rows)
    metrics.attempt(ATTEMPT)
    assert total(registry, "agent_cost_usd_total") == 0.000002


def test_ten_thousand_made_up_names_add_no_series(metrics: Metrics, registry: CollectorRegistry) -> None:
    everything(metrics, CALL.model, "search_kb", "TimeoutError")
    everything(metrics, "made up", "made up", "made up")
    before = sum(1 for family in registry.collect() for _ in family.samples)
    for i in range(10_000):
        everything(metrics, f"model-{i}", f"tool-{i}", f"error-{i}")
    assert sum(1 for family in registry.collect() for _ in family.samples) == before
    assert total(registry, "agent_repeats_total", gen_ai_tool_name="other") == 10_001


def everything(metrics: Metrics, model: str, tool: str, error_type: str) -> None:
    """Every method with every name that somebody outside may choose; the made-up ones everywhere else too."""
    mine = tool == "search_kb"
    call = CALL if mine else replace(CALL, model=model, provider=model, server_address=model, prompt_name=model)
    metrics.attempt(replace(ATTEMPT, call=call, response_model=model, error_type=error_type))
    metrics.expired(replace(ATTEMPT, call=call, response_model=model))
    metrics.tool("helpdesk" if mine else tool, tool, 0.1, error_type)
    turn(metrics, agent="helpdesk" if mine else tool, outcome="answered" if mine else tool)
    metrics.turn_started("helpdesk" if mine else tool)
    metrics.retry("helpdesk", model, error_type)
    metrics.fallback("helpdesk", model, model, error_type)
    metrics.repeat("helpdesk", tool, "same")
    metrics.rejection("helpdesk", tool, "unknown_tool")
    metrics.refusal("month" if mine else tool, "total")


def test_what_the_configuration_learns_gets_a_series(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.repeat("helpdesk", "new_tool", "same")
    metrics.learn(replace(KNOWN, tools=KNOWN.tools | {"new_tool"}))
    metrics.repeat("helpdesk", "new_tool", "same")
    assert [s.labels["gen_ai_tool_name"] for s in series(registry, "agent_repeats_total")] == ["other", "new_tool"]


def test_error_types_are_closed() -> None:
    known = Known()
    assert [known.error(e) for e in (None, "429", "TimeoutError", "openai.RateLimitError", "mine")] == [
        "",
        "429",
        "TimeoutError",
        "openai.RateLimitError",
        "_OTHER",
    ]


def test_exemplars_lead_from_a_spike_to_its_trace(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(replace(ATTEMPT, error_type="timeout"), EXEMPLAR)
    turn(metrics)
    metrics.retry("helpdesk", MODEL, "timeout", EXEMPLAR)
    shown = {
        sample.name: sample.exemplar.labels
        for family in text_string_to_metric_families(openmetrics(registry).decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert shown.keys() == {
        "agent_cost_usd_total",
        "agent_retries_total",
        "agent_turns_total",
        "agent_turn_cost_usd_bucket",
        "gen_ai_client_inference_duration_seconds_bucket",
        "gen_ai_invoke_agent_duration_seconds_bucket",
    }
    assert list(shown.values()) == [EXEMPLAR] * 6


def test_what_went_wrong_between_the_spans_leads_to_the_turn(metrics: Metrics, registry: CollectorRegistry) -> None:
    here = SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), is_remote=False, trace_flags=TraceFlags(1))
    nowhere = SpanContext(here.trace_id, here.span_id, is_remote=False)
    counters = {"agent_fallbacks_total", "agent_repeats_total", "agent_tool_rejections_total"}
    for context, exemplars in (
        (nowhere, {}),
        (here, dict.fromkeys(counters | {"agent_budget_refusals_total"}, EXEMPLAR)),
    ):
        with use_span(NonRecordingSpan(context)):
            metrics.fallback("helpdesk", MODEL, ANSWERED, "server_error")
            metrics.repeat("helpdesk", "search_kb", "cycle")
            metrics.rejection("helpdesk", "search_kb", "too_many")
            metrics.refusal("month", "total")
        assert {
            sample.name: sample.exemplar.labels
            for family in registry.collect()
            for sample in family.samples
            if sample.exemplar is not None
        } == exemplars


def test_both_expositions_can_be_read(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.attempt(ATTEMPT, EXEMPLAR)
    assert b"# TYPE agent_cost_usd_total counter" in generate_latest(registry)
    assert b"# UNIT gen_ai_client_inference_duration_seconds seconds" in openmetrics(registry)  # type: ignore[no-untyped-call]


def test_the_child_of_a_fork_starts_from_zero(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.watch(names.SETTLES_WAITING, lambda: [((), 3)])
    metrics.attempt(ATTEMPT)
    metrics.reset()
    assert series(registry, "agent_cost_usd_total") == []
    metrics.attempt(ATTEMPT)
    assert total(registry, "agent_cost_usd_total") == 0.000002
    assert total(registry, "agent_settles_waiting") == 3


def test_threads_lose_nothing(metrics: Metrics, registry: CollectorRegistry) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def many(attempt: Attempt) -> None:
        for _ in range(2_000):
            metrics.attempt(attempt)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, [costing(1)] * 8))
    assert total(registry, "agent_cost_usd_total") == 0.000016
    assert total(registry, USAGE.format("input")) == 16_000_000
