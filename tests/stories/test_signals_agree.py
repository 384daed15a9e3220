"""A thousand mixed turns with faults: whoever adds up tokens and money comes to the same, to the nano-dollar.

Asked are the spans, Prometheus' counters, the metrics over OTLP, the ledger by raw SQL, and the turns' own results.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry

from agent.offline.faults import Fault
from agent.types import Emit, Event, TurnResult
from tests.stories import counting
from tests.stories.support import Collector, Told, telling
from tests.support import books
from tests.support.app import Overrides
from tests.support.conformance import prometheus_name
from tests.support.signals import Histogram, Metric, Span

TURNS, AT_ONCE = 1_000, 32
DESK = "tests.support.desk"
SMALL, SPARE = "small-on-the-wire", "spare-on-the-wire"
"""Names that the configuration's own `small` and `spare` are not."""
QUESTIONS = ("My laptop will not connect to wifi.", "How do I set up the VPN?", "Why does my laptop explode?")
ORDINARY = 0.55
OUTCOMES = {"answered", "refused_budget", "limit_steps", "limit_tokens", "context_full", "provider_failed"}
"""Beside the cancelled ones, which have no result."""

FAULTS = (
    *(Fault("status", status) for status in (400, 401, 408, 413, 429, 500, 503, 529)),
    *(Fault("context_overflow", form) for form in (1, 2, 3, 4)),
    *(Fault(name) for name in ("quota", "tool_use_failed", "reset", "html", "error_200", "no_choices", "truncated")),
    *(
        Fault(name, 2)
        for name in ("cut", "malformed", "error_chunk", "error_chunk_usage", "error_event", "error_field")
    ),
    *(Fault(name) for name in ("no_done", "empty_choices", "cumulative_usage", "no_usage", "usage_above_cap")),
    *(Fault(name) for name in ("cached_above_prompt", "hidden_tokens", "garbled_usage", "other_model", "service_tier")),
    *(Fault(name) for name in ("stated_cost", "stated_cost_object", "stated_cost", "content_filter", "reasoning_only")),
    *(Fault(name) for name in ("malformed_arguments", "unknown_tool", "duplicate_calls", "repeated_calls", "cycle")),
    Fault("parallel_calls", 12),
    Fault("finish", "eos"),
    Fault("content_type", "text/plain"),
)
TOKENS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read.input_tokens",
    "cache_write_tokens": "cache_write.input_tokens",
    "reasoning_tokens": "reasoning.output_tokens",
}
"""Columns of the ledger, and what follows `gen_ai.usage.` on spans and `gen_ai.client.inference.usage.` in metrics."""

Sums: TypeAlias = "Counter[str]"
"""What somebody adds up to: tokens by the ledger's columns, and `cost` in nano-dollars. None is 0 here."""


async def test_all_signals_agree(tmp_path: Path, http_collector: Collector) -> None:
    env = {f"OTEL_{queue}_MAX_QUEUE_SIZE": "100000" for queue in ("BSP", "BLRP")}
    bounds = {"usd_per_turn": 0.013, "steps": 3}
    on_the_wire: Overrides = {"model": {"model": SMALL}, "chain": {"spare": {"model": SPARE}}}
    asked: Overrides = {"tools": [DESK], "bounds": bounds, "env": env, **on_the_wire}
    async with telling(tmp_path, http_collector, **asked) as told:
        told.server.faults.push(*mixture(random.Random(20261125)))
        results = await turns(told)
        registry = told.app.services.telemetry.registry
    received = http_collector.received
    rows = books.table(tmp_path / "store.db", "ledger")

    assert http_collector.findings() == []
    assert books.table(tmp_path / "store.db", "hold") == []
    booked = added(of_row(row) for row in rows)
    assert added(of_chat(span) for span in received.spans if span.name.startswith("chat")) == booked
    assert of_otlp(received.metrics) == booked
    assert of_prometheus(registry) == booked

    by_turn = grouped((str(row["turn"]), of_row(row)) for row in rows)
    ended = [span for span in received.spans if "agent.outcome" in span.attributes]
    assert len(ended) == TURNS
    assert same({str(span.attributes["agent.turn.id"]): of_agent(span) for span in ended}, by_turn)
    assert same({result.turn_id: of_result(result) for result in results}, by_turn)

    by_quality = grouped((str(row["quality"]), Counter(cost=books.number(row["cost"]))) for row in rows)
    assert by_quality.keys() == {"measured", "estimated", "unknown"}
    assert of_points(received.metrics["agent.cost.usd"]) == by_quality
    assert of_points(received.metrics["agent.ledger.cost.usd"]) == by_quality
    assert of_samples(registry, "agent.cost.usd") == by_quality
    assert of_points(received.metrics["agent.cost.difference.usd"], "agent.cost.side") == differences(rows)
    assert_whole_turns_agree(received.spans, received.metrics, tmp_path / "store.db")


def assert_whole_turns_agree(spans: Sequence[Span], metrics: Mapping[str, Metric], store: Path) -> None:
    """What happened how often, and with which error: spans, metrics and books say the same."""
    chats, tools = counting.spans_of(spans, "chat"), counting.spans_of(spans, "execute_tool")
    agents = counting.spans_of(spans, "invoke_agent")
    # Without a span is the end of a hold whose caller had left before it was granted.
    rows = [row for row in books.table(store, "ledger", "id") if row["span_id"]]
    attempts: counting.Times = Counter((str(row["model"]), counting.error(row["outcome"])) for row in rows)
    told, model, error = counting.told, "gen_ai.request.model", "error.type"
    assert told(metrics, "gen_ai.client.inference.duration", model, error) == attempts
    assert told(metrics, "gen_ai.invoke_agent.duration", error) == counting.by_error(agents)
    assert told(metrics, "gen_ai.execute_tool.duration", "gen_ai.tool.name", error) == counting.by_error(
        tools, "gen_ai.tool.name"
    )
    assert {reason for _, reason in counting.by_error(tools, "gen_ai.tool.name")} >= {
        "",
        "invalid_arguments",
        "tool_error",
    }
    assert told(metrics, "agent.turns", "agent.outcome") == Counter(
        (str(s.attributes["agent.outcome"]),) for s in agents
    )

    assert counting.summed(metrics, "gen_ai.invoke_agent.inference_calls") == len(chats)
    assert len(chats) == len({row["call"] for row in rows})
    ran = counting.ran(store)
    assert counting.summed(metrics, "gen_ai.invoke_agent.tool_calls") == ran.total()
    in_trace = Counter(span.trace_id for span in tools)
    whole = [span for span in agents if span.attributes["agent.outcome"] != "cancelled"]
    assert all(ran[str(span.attributes["agent.turn.id"])] == in_trace[span.trace_id] for span in whole)

    assert told(metrics, "agent.retries", model, error) == counting.retries(chats)
    handed_on = told(metrics, "agent.fallbacks", model, "agent.fallback.model", error)
    assert handed_on >= counting.fallbacks(rows)  # where the spare was refused by the budget it has no row
    assert {models[:2] for models in handed_on} == {(SMALL, SPARE)}


def differences(rows: Iterable[Mapping[str, books.Value]]) -> dict[str, Sums]:
    """What providers stated beyond the book's price, and below it."""
    stated = [row for row in rows if row["book_cost"] is not None]
    beyond = [books.number(row["cost"]) - books.number(row["book_cost"]) for row in stated]
    return grouped(("more" if more > 0 else "less", Counter(cost=abs(more))) for more in beyond if more)


# --- what happens --------------------------------------------------------------------------------------------------


def mixture(rng: random.Random) -> Iterator[Fault]:
    """More than there will be requests."""
    for _ in range(8 * TURNS):
        yield Fault("ok") if rng.random() < ORDINARY else rng.choice(FAULTS)


async def turns(told: Told) -> list[TurnResult]:
    """The results of those that were not cancelled."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> TurnResult | None:
        async with places:
            try:
                return await told.app.ask(QUESTIONS[number % 3], stream=number % 2 == 0, emit=patience(number))
            except asyncio.CancelledError:
                return None

    results = [result for result in await asyncio.gather(*(one(number) for number in range(TURNS))) if result]
    assert len(results) < TURNS
    assert {result.outcome for result in results} >= OUTCOMES
    return results


def patience(number: int) -> Emit:
    """Every tenth caller leaves, after more or less has been shown."""
    left = (number // 10) % 40 if number % 10 == 0 else -1

    async def emit(event: Event) -> None:
        nonlocal left
        if left == 0:
            task = asyncio.current_task()
            assert task
            task.cancel()
        left -= 1

    return emit


# --- adding up -----------------------------------------------------------------------------------------------------


def added(sums: Iterable[Sums]) -> Sums:
    total: Sums = Counter()
    for more in sums:
        total.update(more)
    return +total


def grouped(pairs: Iterable[tuple[str, Sums]]) -> dict[str, Sums]:
    groups: defaultdict[str, Sums] = defaultdict(Counter)
    for name, more in pairs:
        groups[name].update(more)
    return {name: +total for name, total in groups.items()}


def same(some: Mapping[str, Sums], by_turn: Mapping[str, Sums]) -> bool:
    """Turns that made no request have no rows; a turn's own sums know only input, output and cost."""
    known = ("input_tokens", "output_tokens", "cost")
    return all(all(sums[k] == by_turn.get(turn, Counter())[k] for k in known) for turn, sums in some.items())


def nano(usd: object) -> int:
    assert isinstance(usd, int | float)
    return round(usd * 1e9)


def of_row(row: Mapping[str, books.Value]) -> Sums:
    tokens = {column: books.number(row[column] or 0) for column in TOKENS if row["quality"] != "estimated"}
    return Counter({**tokens, "cost": books.number(row["cost"])})


def of_chat(span: Span) -> Sums:
    tokens = {column: _count(span, f"gen_ai.usage.{name}") for column, name in TOKENS.items()}
    return Counter({**tokens, "cost": nano(span.attributes.get("agent.cost.usd", 0))})


def of_agent(span: Span) -> Sums:
    tokens = {name: _count(span, f"gen_ai.usage.{name}") for name in ("input_tokens", "output_tokens")}
    return Counter({**tokens, "cost": nano(span.attributes["agent.turn.cost.usd"])})


def of_result(result: TurnResult) -> Sums:
    usage = result.usage
    return Counter(
        input_tokens=usage.input_tokens or 0, output_tokens=usage.output_tokens or 0, cost=result.cost_nano_usd
    )


def of_otlp(metrics: Mapping[str, Metric]) -> Sums:
    counters = {column: f"gen_ai.client.inference.usage.{name}" for column, name in TOKENS.items()}
    tokens = {column: _total(metrics[name]) for column, name in counters.items() if name in metrics}
    per_call = {
        side: metrics[f"gen_ai.client.inference.operation.{side}"] for side in ("input_tokens", "output_tokens")
    }
    assert {side: sum(histogram(point.value).sum for point in m.points) for side, m in per_call.items()} == {
        side: tokens[side] for side in per_call
    }
    return +Counter({**tokens, "cost": sum(sums["cost"] for sums in of_points(metrics["agent.cost.usd"]).values())})


def of_prometheus(registry: CollectorRegistry) -> Sums:
    tokens = {
        column: sum(int(value) for _, value in samples(registry, f"gen_ai.client.inference.usage.{name}"))
        for column, name in TOKENS.items()
    }
    return +Counter({**tokens, "cost": sum(sums["cost"] for sums in of_samples(registry, "agent.cost.usd").values())})


def of_points(metric: Metric, by: str = "agent.cost.quality") -> dict[str, Sums]:
    return grouped((str(p.attributes[by]), Counter(cost=nano(p.value))) for p in metric.points)


def of_samples(registry: CollectorRegistry, metric: str) -> dict[str, Sums]:
    return grouped(
        (labels["agent_cost_quality"], Counter(cost=nano(value))) for labels, value in samples(registry, metric)
    )


def samples(registry: CollectorRegistry, metric: str) -> Iterator[tuple[Mapping[str, str], float]]:
    name = prometheus_name(metric)
    for family in registry.collect():
        yield from ((sample.labels, sample.value) for sample in family.samples if sample.name == name)


def histogram(value: object) -> Histogram:
    assert isinstance(value, Histogram)
    return value


def _count(span: Span, name: str) -> int:
    value = span.attributes.get(name, 0)
    assert isinstance(value, int)
    return value


def _total(metric: Metric) -> int:
    return sum(int(p.value) for p in metric.points if isinstance(p.value, int | float))
