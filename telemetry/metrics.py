"""Every metric of the contract, recorded once, in prometheus-client: closed labels, cached children, exemplars.

Nothing here depends on sampling but the exemplars, which name a trace only where one is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, TypeAlias

from opentelemetry.trace import get_current_span
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from telemetry import names as n
from telemetry.attempt import Attempt
from telemetry.families import Families, Rows
from telemetry.instruments import INSTRUMENTS
from telemetry.labels import HTTP_METHODS, OTHER, OTHER_ERROR, OUTCOMES, Known, closed
from telemetry.usage import Usage

Exemplar: TypeAlias = dict[str, str] | None
"""`trace_id` and `span_id` in hex of a span that is exported, else None."""

RepeatKind = Literal["same", "cycle", "ended"]
RejectionKind = Literal["unknown_tool", "invalid_arguments", "too_many"]
Signal = Literal["traces", "metrics", "logs"]
DropReason = Literal["queue_full", "export_failed", "shutdown"]


class Metrics(Collector):
    """Registers itself, as one collector, with `registry`.

    `known` closes the label sets; `learn()` replaces it when the configuration changes. All methods are cheap and
    safe to call from any thread.
    """

    def __init__(self, registry: CollectorRegistry, known: Known) -> None:
        self._known = known
        self._rows: dict[str, Callable[[], Rows]] = {
            i.name: tuple for i in INSTRUMENTS.values() if i.kind == "gauge" and i.name != n.TURNS_ACTIVE
        }
        self._build()
        registry.register(self)

    def learn(self, known: Known) -> None:
        self._known = known

    def watch(self, gauge: str, rows: Callable[[], Rows]) -> None:
        """Let `gauge` show what `rows()` returns at each scrape. It is called from the scraping thread and must not
        wait: let it return the last snapshot. Raises KeyError for what is no gauge of the table."""
        if gauge not in self._rows:
            raise KeyError(gauge)
        self._rows[gauge] = rows

    def reset(self) -> None:
        """Start from zero, with new locks: for the child of a fork, which must not report its parent's counts."""
        self._build()

    def describe(self) -> Iterator[Metric]:
        return self._families.describe()

    def collect(self) -> Iterator[Metric]:
        return self._families.collect()

    # --- what happened -------------------------------------------------------------------------------------------

    def attempt(self, a: Attempt, exemplar: Exemplar = None) -> None:
        """One request to a model ended. Token counts only where the provider reported them."""
        model = self._model(a)
        error = self._known.error(a.error_type)
        self._duration[*model, error].observe(a.duration, exemplar)
        if a.first_chunk is not None:
            self._first_chunk[model].observe(a.first_chunk)
        if a.chunk_gaps:
            observe = self._output_chunk[model].observe
            for gap in a.chunk_gaps:
                observe(gap)
        usage = a.reported
        if usage is not None:
            self._usage(model, usage)
        self._charge(a, model, exemplar)
        self._bound(a)

    def expired(self, a: Attempt) -> None:
        """The owner of an attempt died and its hold was charged: cost, but no duration, because nobody measured it."""
        self._charge(a, self._model(a), None)
        self._holds_expired[self._agent(a.call.agent), self._request(a.call.model)].inc()

    def tool(
        self, agent: str, tool: str, duration: float, error_type: str | None = None, exemplar: Exemplar = None
    ) -> None:
        """One tool ran for `duration` seconds."""
        labels = (closed(tool, self._known.tools), "function", self._agent(agent), self._known.error(error_type))
        self._tool_duration[labels].observe(duration, exemplar)

    def turn(
        self,
        *,
        agent: str,
        prompt: tuple[str, str],
        outcome: str,
        cost_nano_usd: int,
        duration: float,
        inference_calls: int,
        tool_calls: int,
        error_type: str | None = None,
        exemplar: Exemplar = None,
    ) -> None:
        """A turn ended after `duration` seconds. `prompt` is (name, version)."""
        name = self._agent(agent)
        labels = (name, *self._prompt(prompt), closed(outcome, OUTCOMES))
        self._turns[labels].inc(1, exemplar)
        self._turn_cost[labels].observe(cost_nano_usd, exemplar)
        self._agent_duration[name, self._known.error(error_type)].observe(duration, exemplar)
        self._inference_calls[name,].observe(inference_calls)
        self._tool_calls[name,].observe(tool_calls)

    def turn_started(self, agent: str) -> None:
        self._turns_active[self._agent(agent),].inc()

    def turn_ended(self, agent: str) -> None:
        self._turns_active[self._agent(agent),].dec()

    def retry(self, agent: str, model: str, error_type: str, exemplar: Exemplar = None) -> None:
        self._retries[self._agent(agent), self._request(model), self._known.error(error_type)].inc(1, exemplar)

    # These four happen between spans of calls and tools: their exemplar is the span that is current, the turn's.

    def fallback(self, agent: str, model: str, fallback_model: str, error_type: str) -> None:
        models = (self._request(model), self._request(fallback_model))
        self._fallbacks[self._agent(agent), *models, self._known.error(error_type)].inc(1, _current())

    def repeat(self, agent: str, tool: str, kind: RepeatKind) -> None:
        self._repeats[self._agent(agent), closed(tool, self._known.tools), kind].inc(1, _current())

    def rejection(self, agent: str, tool: str, kind: RejectionKind) -> None:
        self._rejections[self._agent(agent), closed(tool, self._known.tools), kind].inc(1, _current())

    def refusal(self, budget: str, window: str) -> None:
        self._refusals[closed(budget, self._known.budgets), window].inc(1, _current())

    def dropped(self, signal: Signal, reason: DropReason, items: int) -> None:
        self._dropped[signal, reason].inc(items)

    def http_request(
        self, method: str, scheme: str, route: str | None, status: int | None, error_type: str | None, duration: float
    ) -> None:
        """A request to the service ended after `duration` seconds. `route` is a template of the program's own, None
        where none was found; `status` None where nothing was sent."""
        known = method if method in HTTP_METHODS else OTHER_ERROR
        sent = "" if status is None else str(status)
        self._http_duration[known, scheme, route or "", sent, self._known.error(error_type)].observe(duration)

    # --- how it is counted ---------------------------------------------------------------------------------------

    def _usage(self, model: tuple[str, ...], usage: Usage) -> None:
        if usage.input_tokens is not None:
            self._operation_input[model].observe(usage.input_tokens)
            self._tokens(n.USAGE_INPUT, model, usage.input_tokens, usage, "input")
        if usage.output_tokens is not None:
            self._operation_output[model].observe(usage.output_tokens)
            self._tokens(n.USAGE_OUTPUT, model, usage.output_tokens, usage, "output")
        modality = "unknown" if usage.by_modality else "text"
        for name, tokens in (
            (n.USAGE_CACHE_READ, usage.cache_read_tokens),
            (n.USAGE_CACHE_WRITE, usage.cache_write_tokens),
            (n.USAGE_REASONING, usage.reasoning_tokens),
        ):
            if tokens is not None:
                self._token_counters[name][*model, modality].inc(tokens)

    def _tokens(
        self, name: str, model: tuple[str, ...], total: int, usage: Usage, side: Literal["input", "output"]
    ) -> None:
        """Count `total` by modality; what is of no stated modality is text."""
        counter = self._token_counters[name]
        for direction, modality, tokens in usage.by_modality:
            if direction == side:
                counter[*model, modality if modality in ("image", "audio") else "unknown"].inc(tokens)
                total -= tokens
        counter[*model, "text"].inc(total)

    def _charge(self, a: Attempt, model: tuple[str, ...], exemplar: Exemplar) -> None:
        prompt = self._prompt((a.call.prompt_name, a.call.prompt_version))
        agent = self._agent(a.call.agent)
        self._cost[agent, *model, *prompt, a.cost.quality].inc(a.cost.nano_usd, exemplar)
        if a.cost.book_nano_usd is not None and (more := a.cost.nano_usd - a.cost.book_nano_usd):
            side = "more" if more > 0 else "less"
            self._cost_difference[agent, self._request(a.call.model), side].inc(abs(more), exemplar)

    def _bound(self, a: Attempt) -> None:
        held, charged = a.held_nano_usd, a.cost.nano_usd
        if not a.call.turn_id:  # somebody else's loop: nothing is held there
            return
        labels = (self._agent(a.call.agent), self._request(a.call.model))
        if charged > held or a.cost.source == "none":  # what nobody knows is no less
            self._breaches[labels].inc()
        if held > 0 and charged > 0 and a.cost.quality == "measured":
            self._bound_ratio[labels].observe(held / charged)

    def _model(self, a: Attempt) -> tuple[str, ...]:
        known = self._known
        call = a.call
        return (
            n.CHAT,
            closed(call.provider, known.providers),
            closed(call.model, known.models),
            "" if a.response_model is None else closed(a.response_model, known.models),
            closed(call.server_address, known.servers),
        )

    def _agent(self, name: str) -> str:
        return closed(name, self._known.agents)

    def _request(self, model: str) -> str:
        return closed(model, self._known.models)

    def _prompt(self, prompt: tuple[str, str]) -> tuple[str, str]:
        return prompt if prompt in self._known.prompts else (OTHER, OTHER)

    # --- the families --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        make = self._families = Families()
        self._duration = make.histogram(n.INFERENCE_DURATION)
        self._first_chunk = make.histogram(n.INFERENCE_FIRST_CHUNK)
        self._output_chunk = make.histogram(n.INFERENCE_OUTPUT_CHUNK)
        usage = (n.USAGE_INPUT, n.USAGE_OUTPUT, n.USAGE_CACHE_READ, n.USAGE_CACHE_WRITE, n.USAGE_REASONING)
        self._token_counters = {name: make.counter(name) for name in usage}
        self._operation_input = make.histogram(n.OPERATION_INPUT)
        self._operation_output = make.histogram(n.OPERATION_OUTPUT)
        self._agent_duration = make.histogram(n.AGENT_DURATION)
        self._inference_calls = make.histogram(n.AGENT_INFERENCE_CALLS)
        self._tool_calls = make.histogram(n.AGENT_TOOL_CALLS)
        self._tool_duration = make.histogram(n.TOOL_DURATION)
        self._cost = make.money_counter(n.COST_TOTAL)
        self._cost_difference = make.money_counter(n.COST_DIFFERENCE)
        self._turn_cost = make.histogram(n.TURN_COST_USD)
        self._turns = make.counter(n.TURNS)
        self._turns_active = make.gauge(n.TURNS_ACTIVE)
        self._retries = make.counter(n.RETRIES)
        self._fallbacks = make.counter(n.FALLBACKS)
        self._repeats = make.counter(n.REPEATS)
        self._rejections = make.counter(n.TOOL_REJECTIONS)
        self._refusals = make.counter(n.BUDGET_REFUSALS)
        self._holds_expired = make.counter(n.HOLDS_EXPIRED)
        self._breaches = make.counter(n.BOUND_BREACHES)
        self._bound_ratio = make.histogram(n.BOUND_RATIO)
        self._http_duration = make.histogram(n.HTTP_DURATION)
        self._dropped = make.counter(n.TELEMETRY_DROPPED)
        for gauge in self._rows:
            make.rows(gauge, partial(self._read, gauge))

    def _read(self, gauge: str) -> Rows:
        return self._rows[gauge]()


def _current() -> Exemplar:
    """The current span, where it will be exported."""
    span = get_current_span().get_span_context()
    if not span.trace_flags.sampled:
        return None
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
