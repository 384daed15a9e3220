"""The metric half of the telemetry contract as a table, spelled out a second time for the check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """`unit` is None where the contract leaves it open. `labels` are on every point, `optional` where they're known."""

    kind: Kind
    unit: str | None
    labels: frozenset[str]
    optional: frozenset[str] = frozenset()
    buckets: tuple[float, ...] = ()


SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
AGENT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
CALLS = (1, 2, 4, 8, 16, 32, 64, 128)
USD = (0.0001, 0.0004, 0.0016, 0.0064, 0.0256, 0.1024, 0.4096, 1.6384, 6.5536, 26.2144)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
RATIOS = (1, 1.5, 2, 3, 5, 10, 20, 50, 100)

_REQUEST = "gen_ai.request.model"
_RESPONSE = frozenset({"gen_ai.response.model"})
"""Known once something was answered."""
_MODEL = frozenset({"gen_ai.operation.name", "gen_ai.provider.name", _REQUEST, "server.address"})
_ERROR = frozenset({"error.type"})
_AGENT = frozenset({"gen_ai.agent.name"})
_TOOL = frozenset({"gen_ai.tool.name"})
_PROMPT = frozenset({"gen_ai.prompt.name", "gen_ai.prompt.version"})
_QUALITY = frozenset({"agent.cost.quality"})
_OUTCOME = frozenset({"agent.outcome"})
_BUDGET = frozenset({"agent.budget.name"})
_WINDOW = frozenset({"agent.budget.window"})
_LEVEL = frozenset({"agent.budget.level"})


def _convention_seconds(labels: frozenset[str], optional: frozenset[str]) -> Instrument:
    return Instrument("histogram", "s", labels, optional, SECONDS)


def _own(kind: Kind, labels: frozenset[str] = frozenset(), optional: frozenset[str] = _AGENT) -> Instrument:
    return Instrument(kind, None, labels, optional)


def _usd(labels: frozenset[str], optional: frozenset[str] = _AGENT) -> Instrument:
    return Instrument("gauge", "{USD}", labels, optional)


_TOKEN_COUNTER = Instrument("counter", "{token}", _MODEL | {"gen_ai.token.modality"}, _RESPONSE)
_TOKEN_HISTOGRAM = Instrument("histogram", "{token}", _MODEL, _RESPONSE, TOKENS)

CONVENTION_METRICS = {
    "gen_ai.client.inference.duration": _convention_seconds(_MODEL, _RESPONSE | _ERROR),
    "gen_ai.client.inference.time_to_first_chunk": _convention_seconds(_MODEL, _RESPONSE),
    "gen_ai.client.inference.time_per_output_chunk": _convention_seconds(_MODEL, _RESPONSE),
    "gen_ai.client.inference.usage.input_tokens": _TOKEN_COUNTER,
    "gen_ai.client.inference.usage.output_tokens": _TOKEN_COUNTER,
    "gen_ai.client.inference.usage.cache_read.input_tokens": _TOKEN_COUNTER,
    "gen_ai.client.inference.usage.cache_write.input_tokens": _TOKEN_COUNTER,
    "gen_ai.client.inference.usage.reasoning.output_tokens": _TOKEN_COUNTER,
    "gen_ai.client.inference.operation.input_tokens": _TOKEN_HISTOGRAM,
    "gen_ai.client.inference.operation.output_tokens": _TOKEN_HISTOGRAM,
    "gen_ai.invoke_agent.duration": Instrument("histogram", "s", _AGENT, _ERROR, AGENT_SECONDS),
    "gen_ai.invoke_agent.inference_calls": Instrument("histogram", "{inference_call}", _AGENT, buckets=CALLS),
    "gen_ai.invoke_agent.tool_calls": Instrument("histogram", "{tool_call}", _AGENT, buckets=CALLS),
    "gen_ai.execute_tool.duration": _convention_seconds(_TOOL | {"gen_ai.tool.type"} | _AGENT, _ERROR),
}

OWN_METRICS = {
    "agent.cost.usd": Instrument("counter", "{USD}", _MODEL | _QUALITY, _AGENT | _RESPONSE | _PROMPT),
    "agent.cost.difference.usd": Instrument("counter", "{USD}", frozenset({_REQUEST, "agent.cost.side"}), _AGENT),
    "agent.turn.cost.usd": Instrument("histogram", "{USD}", _AGENT | _OUTCOME, _PROMPT, USD),
    "agent.turns": _own("counter", _AGENT | _OUTCOME, _PROMPT),
    "agent.turns.active": _own("gauge"),
    "agent.retries": _own("counter", frozenset({_REQUEST, "error.type"})),
    "agent.fallbacks": _own("counter", frozenset({_REQUEST, "agent.fallback.model", "error.type"})),
    "agent.repeats": _own("counter", _TOOL | {"agent.repeat.kind"}),
    "agent.tool.rejections": _own("counter", _TOOL | {"agent.rejection"}),
    "agent.ledger.cost.usd": _usd(frozenset({_REQUEST}) | _QUALITY, _AGENT | _PROMPT),
    "agent.budget.limit.usd": _usd(_BUDGET | _WINDOW),
    "agent.budget.charged.usd": _usd(_BUDGET | _WINDOW),
    "agent.budget.held.usd": _usd(_BUDGET | _WINDOW),
    "agent.budget.scopes": _own("gauge", _BUDGET | _LEVEL),
    "agent.budget.alarms": _own("counter", _BUDGET | _LEVEL),
    "agent.budget.refusals": _own("counter", _BUDGET | _WINDOW),
    "agent.holds.expired": _own("counter", frozenset({_REQUEST})),
    "agent.bound.breaches": _own("counter", frozenset({_REQUEST})),
    "agent.bound.ratio": Instrument("histogram", None, frozenset({_REQUEST}), _AGENT, RATIOS),
    "agent.settles.waiting": _own("gauge"),
    "agent.outbox.waiting": _own("gauge"),
    "agent.outbox.dead": _own("gauge"),
    "agent.prompt.active": _own("gauge", _PROMPT),
    "agent.prompt.generation": _own("gauge"),
    "agent.config.generation": _own("gauge"),
    "agent.config.valid": _own("gauge"),
    "agent.telemetry.dropped": _own("counter", frozenset({"agent.signal", "agent.reason"})),
}

HTTP_METRICS = {
    "http.server.request.duration": Instrument(
        "histogram",
        "s",
        frozenset({"http.request.method", "url.scheme"}),
        frozenset({"http.route", "http.response.status_code"}) | _ERROR,
        HTTP_SECONDS,
    )
}
"""Of the service, by the stable conventions for HTTP servers."""

METRICS = {**CONVENTION_METRICS, **OWN_METRICS, **HTTP_METRICS}


def prometheus_name(metric: str) -> str:
    """The name in Prometheus by the usual translation of the contract's units; of a histogram without `_bucket`."""
    instrument = METRICS[metric]
    name = metric.replace(".", "_") + ("_seconds" if instrument.unit == "s" else "")
    return name + ("_total" if instrument.kind == "counter" else "")
