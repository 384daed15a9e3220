"""The table against the contract: names, units and buckets are an interface of their own."""

from __future__ import annotations

import pytest

from telemetry import names
from telemetry.instruments import INSTRUMENTS

PROMETHEUS = {
    "gen_ai.client.inference.duration": "gen_ai_client_inference_duration_seconds",
    "gen_ai.client.inference.time_to_first_chunk": "gen_ai_client_inference_time_to_first_chunk_seconds",
    "gen_ai.client.inference.time_per_output_chunk": "gen_ai_client_inference_time_per_output_chunk_seconds",
    "gen_ai.client.inference.usage.input_tokens": "gen_ai_client_inference_usage_input_tokens_total",
    "gen_ai.client.inference.usage.output_tokens": "gen_ai_client_inference_usage_output_tokens_total",
    "gen_ai.client.inference.usage.cache_read.input_tokens": (
        "gen_ai_client_inference_usage_cache_read_input_tokens_total"
    ),
    "gen_ai.client.inference.usage.cache_write.input_tokens": (
        "gen_ai_client_inference_usage_cache_write_input_tokens_total"
    ),
    "gen_ai.client.inference.usage.reasoning.output_tokens": (
        "gen_ai_client_inference_usage_reasoning_output_tokens_total"
    ),
    "gen_ai.client.inference.operation.input_tokens": "gen_ai_client_inference_operation_input_tokens",
    "gen_ai.client.inference.operation.output_tokens": "gen_ai_client_inference_operation_output_tokens",
    "gen_ai.invoke_agent.duration": "gen_ai_invoke_agent_duration_seconds",
    "gen_ai.invoke_agent.inference_calls": "gen_ai_invoke_agent_inference_calls",
    "gen_ai.invoke_agent.tool_calls": "gen_ai_invoke_agent_tool_calls",
    "gen_ai.execute_tool.duration": "gen_ai_execute_tool_duration_seconds",
    "agent.cost.usd": "agent_cost_usd_total",
    "agent.cost.difference.usd": "agent_cost_difference_usd_total",
    "agent.turn.cost.usd": "agent_turn_cost_usd",
    "agent.turns": "agent_turns_total",
    "agent.turns.active": "agent_turns_active",
    "agent.retries": "agent_retries_total",
    "agent.fallbacks": "agent_fallbacks_total",
    "agent.repeats": "agent_repeats_total",
    "agent.tool.rejections": "agent_tool_rejections_total",
    "agent.ledger.cost.usd": "agent_ledger_cost_usd",
    "agent.budget.limit.usd": "agent_budget_limit_usd",
    "agent.budget.charged.usd": "agent_budget_charged_usd",
    "agent.budget.held.usd": "agent_budget_held_usd",
    "agent.budget.refusals": "agent_budget_refusals_total",
    "agent.holds.expired": "agent_holds_expired_total",
    "agent.bound.breaches": "agent_bound_breaches_total",
    "agent.bound.ratio": "agent_bound_ratio",
    "agent.settles.waiting": "agent_settles_waiting",
    "agent.prompt.active": "agent_prompt_active",
    "agent.prompt.generation": "agent_prompt_generation",
    "agent.config.generation": "agent_config_generation",
    "agent.config.valid": "agent_config_valid",
    "agent.telemetry.dropped": "agent_telemetry_dropped_total",
    "http.server.request.duration": "http_server_request_duration_seconds",
}


def test_names_in_both_worlds() -> None:
    assert {i.name: i.prometheus for i in INSTRUMENTS.values()} == PROMETHEUS


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        (names.INFERENCE_DURATION, 0.01, 81.92, 14),
        (names.INFERENCE_FIRST_CHUNK, 0.01, 81.92, 14),
        (names.INFERENCE_OUTPUT_CHUNK, 0.01, 81.92, 14),
        (names.TOOL_DURATION, 0.01, 81.92, 14),
        (names.OPERATION_INPUT, 1, 67_108_864, 14),
        (names.OPERATION_OUTPUT, 1, 67_108_864, 14),
        (names.AGENT_DURATION, 0.1, 409.6, 13),
        (names.AGENT_INFERENCE_CALLS, 1, 128, 8),
        (names.AGENT_TOOL_CALLS, 1, 128, 8),
        (names.TURN_COST_USD, 0.0001, 26.2144, 10),
        (names.BOUND_RATIO, 1, 100, 9),
        (names.HTTP_DURATION, 0.005, 10, 14),
    ],
)
def test_buckets(name: str, first: float, last: float, count: int) -> None:
    buckets = INSTRUMENTS[name].buckets
    assert (buckets[0], buckets[-1], len(buckets)) == (first, last, count)


def test_money_is_in_usd_and_seconds_in_seconds() -> None:
    for instrument in INSTRUMENTS.values():
        assert instrument.money == (instrument.unit == "{USD}") == (".usd" in instrument.name)
        assert ("duration" in instrument.name or ".time_" in instrument.name) == (instrument.unit == "s")
        assert bool(instrument.buckets) == (instrument.kind == "histogram")
        assert instrument.help.endswith(".")


def test_no_label_can_be_filled_by_people() -> None:
    forbidden = {names.USER_ID, names.TENANT, names.CONVERSATION_ID, names.TURN_ID}
    for instrument in INSTRUMENTS.values():
        assert not forbidden & set(instrument.attributes)
