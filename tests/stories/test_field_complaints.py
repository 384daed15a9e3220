"""Where each complaint of other systems' users is tested. What the table names is checked to be a test that runs
and asserts something.

Of budgets, those that a turn alone can show: windows, alarms, prompts, dashboards, service come with their issues.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

TABLE = {
    # Budgets
    "concurrent first requests: litellm#34732, #40095, #35567": (
        "stories/test_field_money.py::test_concurrent_first_requests_do_not_all_slip_through",
        "agent/store/test_several_processes.py::test_first_use_of_counters_is_raced",
        "agent/store/test_several_processes.py::test_no_admission_overspends",
    ),
    "reservations leak on cancel and error: litellm#27639, #36926, #40050": (
        "stories/test_field_money.py::test_nothing_stays_reserved_after_cancels_and_errors",
        "agent/loop/test_cancelling.py::test_at_any_moment",
    ),
    "reconcile fails, counted twice; fail-closed that failed open: litellm#35569, #33923": (
        "agent/store/test_writer.py::test_is_booked_once_the_file_is_free",
        "agent/store/test_batch.py::test_twice_in_one_transaction_is_once",
        "agent/loop/test_store_fails.py::test_goes_on_later",
    ),
    "a paid fallback of a free model: litellm#41379": (
        "stories/test_field_money.py::test_a_paid_fallback_of_a_free_model_is_refused_when_the_budget_is_spent",
    ),
    "a stream that crosses the limit: envoy ai-gateway#2394": (
        "stories/test_field_money.py::test_a_stream_counts_while_it_runs",
        "agent/loop/test_outcomes.py::test_cap_is_lowered_to_what_is_left",
    ),
    "thousands of unexpected calls: openai-agents-python#3353": (
        "stories/test_field_money.py::test_an_agent_that_never_answers_stops_at_its_limit",
    ),
    # Cost
    "cached tokens billed twice: litellm#14849, langfuse#5568, #10592, phoenix#10036": (
        "stories/test_field_money.py::test_cached_tokens_are_billed_once",
        "telemetry/test_price_book.py::test_cached_tokens_are_priced_once",
    ),
    "a missing price counts as 0: litellm#35913": (
        "stories/test_provider_money.py::test_7_a_price_that_is_missing_or_zero_is_refused_before_anything_is_asked",
        "telemetry/test_price_book.py::test_a_price_of_nothing_is_refused",
    ),
    "an unknown model priced as another: headroom#3732": (
        "telemetry/test_price_book.py::test_keys_are_exact",
        "stories/test_provider_money.py::test_6_another_generation_that_nobody_listed_is_charged_at_its_own_price",
    ),
    "a price change re-prices history: ccusage#1636, any-llm#994": (
        "stories/test_field_money.py::test_a_price_change_leaves_the_past_as_it_was",
        "telemetry/test_price_book.py::test_a_price_change_in_mid_life",
    ),
    "a fallback priced at the wrong model: litellm#39294, bifrost#5387": (
        "stories/test_field_money.py::test_a_fallback_is_priced_as_itself",
    ),
    "billed answers that fail are dropped: hermes-agent#74313": (
        "stories/test_field_money.py::test_a_billed_answer_that_cannot_be_used_is_booked",
        "stories/test_provider_streams.py::test_13_an_error_chunk_with_usage_is_paid_as_it_says",
    ),
    "parent and child both carry the cost: pydantic-ai#3995": (
        "stories/test_field_money.py::test_no_back_end_adds_a_turn_to_its_calls",
    ),
    # Streams
    "an aborted stream reports zero: openai-openapi#539, openai-agents-js#995, onyx#10658": (
        "stories/test_field_loops.py::test_a_stream_that_was_left_is_in_the_books_and_costs_no_more",
        "agent/loop/test_cancelling.py::test_in_a_stream",
        "agent/loop/test_cancelling.py::test_reader_fails",
    ),
    "draining the stream in the background goes on paying: pydantic-ai#1524": (
        "stories/test_field_loops.py::test_a_stream_that_was_left_is_in_the_books_and_costs_no_more",
        "agent/models/test_cancellation.py::test_cancelled_while_text_comes",
    ),
    "the span stays open, the token is of another context: openlit#1515, adk-python#4894": (
        "stories/test_field_loops.py::test_a_stream_that_was_left_is_in_the_books_and_costs_no_more",
        "stories/test_span_trees.py::test_aborted_in_the_middle_of_a_stream",
    ),
    "context lost in tool threads: smolagents#2187": (
        "agent/tools/test_runner.py::test_a_thread_has_the_callers_context_and_leaks_none",
        "telemetry/test_spans.py::test_parallel_tools_are_siblings_in_tasks_and_threads",
    ),
    # Telemetry
    "spans lost until a flush: openai-agents-python#2135, opentelemetry-python-contrib#4916": (
        "stories/test_field_loops.py::test_closing_exports_what_nobody_flushed",
        "telemetry/test_exporters.py::test_a_fork_loses_nothing_and_doubles_nothing",
    ),
    "one exporter exception kills the worker: openai-agents-python#3216": (
        "telemetry/test_exporters.py::test_an_exporter_that_raises_does_not_end_the_export",
    ),
    "one span hides all retries: openinference#3664": (
        "stories/test_field_loops.py::test_a_retry_can_be_seen_apart_from_the_call",
        "stories/test_span_trees.py::test_a_retry",
    ),
    "content off, yet exported: openllmetry#2777": (
        "telemetry/test_content.py::test_off_means_in_no_byte",
        "stories/test_canary.py::test_content_leaves_where_it_was_asked_to",
    ),
    "unbounded labels: litellm#12159, #39136": (
        "telemetry/test_metrics.py::test_ten_thousand_made_up_names_add_no_series",
    ),
    "several workers, saw-tooth counters: courtlistener#7980": (
        "stories/test_field_workers.py::test_each_worker_has_counters_of_its_own_that_never_fall",
        "telemetry/test_metrics.py::test_the_child_of_a_fork_starts_from_zero",
    ),
    "spend never equals the ledger: litellm#26611": ("stories/test_signals_agree.py::test_all_signals_agree",),
    # Loops and tools
    "the same call 100 times: openclaw#7500": (
        "stories/test_field_loops.py::test_the_same_call_a_hundred_times_runs_twice",
    ),
    "8,910 calls, mutating ones among them: cuga-agent#385": (
        "stories/test_field_loops.py::test_thousands_of_calls_that_change_something_are_bounded",
    ),
    "792 parallel calls: pydantic-ai#6884": (
        "stories/test_field_loops.py::test_792_parallel_calls_are_a_note",
        "agent/loop/test_tools.py::test_eight_hundred_parallel_calls_cost_a_note",
    ),
    "a guard that saw only executed calls: renfield#1071": (
        "stories/test_field_loops.py::test_calls_that_never_ran_count_as_repeats",
    ),
    "one malformed argument kills the run: pydantic-ai#6739": (
        "stories/test_field_loops.py::test_one_malformed_argument_is_told_and_the_run_goes_on",
        "stories/test_generated_arguments.py::test_any_arguments",
    ),
    "one failing call cancels its 26 siblings: claude-code#64346": (
        "stories/test_field_loops.py::test_one_malformed_argument_is_told_and_the_run_goes_on",
        "agent/loop/test_tools.py::test_one_that_fails_does_not_harm_its_siblings",
    ),
    # Start-up
    "the price list is downloaded at import or start: litellm#9787, cuga-agent#513": (
        "stories/test_field_startup.py::test_importing_everything_fetches_nothing",
        "stories/test_field_startup.py::test_starting_and_answering_fetches_nothing",
        "telemetry/test_price_book.py::test_importing_loads_no_prices",
    ),
}


COMPLAINT = re.compile(r"(.+): ((?:[\w-]+ ?[\w-]+)?#\d+(?:, (?:[\w-]+ ?[\w-]+)?#\d+)*)")


@pytest.mark.parametrize("complaint", TABLE)
def test_what_the_table_names_is_a_test_that_runs_and_asserts(complaint: str) -> None:
    assert COMPLAINT.fullmatch(complaint)
    for place in TABLE[complaint]:
        file, _, name = place.partition("::")
        functions = functions_of(file)
        assert name in functions, place
        assert name.startswith("test_")
        assert asserts(functions[name], functions), f"{place} asserts nothing"
        assert not {"skip", "skipif", "xfail"} & marks(functions[name]), f"{place} may not run"


def test_no_complaint_and_no_test_is_named_twice_for_one() -> None:
    numbers = [number for complaint in TABLE for number in re.findall(r"[\w-]*#\d+", complaint)]
    assert len(numbers) == len(set(numbers))
    assert all(len(places) == len(set(places)) for places in TABLE.values())


Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def functions_of(file: str) -> dict[str, Function]:
    """Those of the module and of its test classes."""
    return {node.name: node for node in ast.walk(ast.parse((TESTS / file).read_text())) if isinstance(node, Function)}


def asserts(function: Function, functions: dict[str, Function], seen: frozenset[str] = frozenset()) -> bool:
    """In itself, or in what it calls of its own file."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Attribute) and node.attr == "raises"):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in seen:
            called = functions.get(node.func.id)
            if called and asserts(called, functions, seen | {node.func.id}):
                return True
    return False


def marks(function: Function) -> set[str]:
    return {node.attr for each in function.decorator_list for node in ast.walk(each) if isinstance(node, ast.Attribute)}
