"""The one table of all instruments: what is measured, in which unit, by which labels, in which buckets.

Prometheus names follow by rule from the OTLP names; both exporters read this table and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from telemetry import names as n

Kind = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """`name` and `unit` as in OTLP (UCUM). `attributes` are the closed set of its labels; an empty label value means
    that the attribute is absent. `buckets` are upper bounds, inclusive. `money`: recorded in integer nano-dollars,
    shown in USD."""

    name: str
    kind: Kind
    unit: str
    attributes: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    money: bool = False

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus, by the usual translation; units in braces add nothing."""
        name = label(self.name) + ("_seconds" if self.unit == "s" else "")
        return name + ("_total" if self.kind == "counter" else "")

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label(attribute) for attribute in self.attributes)


def label(attribute: str) -> str:
    """An attribute's name as a Prometheus label."""
    return attribute.replace(".", "_")


_SECONDS = tuple(0.01 * 2**i for i in range(14))
_AGENT_SECONDS = tuple(0.1 * 2**i for i in range(13))
_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_TOKENS = tuple(float(4**i) for i in range(14))
_CALLS = tuple(float(2**i) for i in range(8))
_USD = tuple(4**i / 10_000 for i in range(10))
_RATIOS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)

_MODEL = (n.OPERATION_NAME, n.PROVIDER_NAME, n.REQUEST_MODEL, n.RESPONSE_MODEL, n.SERVER_ADDRESS)
_PROMPT = (n.PROMPT_NAME, n.PROMPT_VERSION)
_AGENT = (n.AGENT_NAME,)
_BUDGET = (n.BUDGET_NAME, n.BUDGET_WINDOW)


def _seconds(name: str, attributes: tuple[str, ...], text: str, buckets: tuple[float, ...] = _SECONDS) -> Instrument:
    return Instrument(name, "histogram", "s", attributes, text, buckets)


def _tokens(name: str, text: str) -> Instrument:
    return Instrument(name, "counter", "{token}", (*_MODEL, n.TOKEN_MODALITY), text)


def _count(name: str, unit: str, attributes: tuple[str, ...], text: str) -> Instrument:
    return Instrument(name, "counter", unit, attributes, text)


def _gauge(name: str, unit: str, attributes: tuple[str, ...], text: str) -> Instrument:
    return Instrument(name, "gauge", unit, attributes, text, money=unit == "{USD}")


_CONVENTIONS = (
    _seconds(
        n.INFERENCE_DURATION, (*_MODEL, n.ERROR_TYPE), "Duration of a request to a model, each attempt by itself."
    ),
    _seconds(n.INFERENCE_FIRST_CHUNK, _MODEL, "Time from the request to the first chunk of a streamed answer."),
    _seconds(n.INFERENCE_OUTPUT_CHUNK, _MODEL, "Time between two chunks of a streamed answer."),
    _tokens(n.USAGE_INPUT, "Input tokens reported by the provider, cached ones included."),
    _tokens(n.USAGE_OUTPUT, "Output tokens reported by the provider, reasoning included."),
    _tokens(n.USAGE_CACHE_READ, "Input tokens read from the provider's cache."),
    _tokens(n.USAGE_CACHE_WRITE, "Input tokens written to the provider's cache."),
    _tokens(n.USAGE_REASONING, "Output tokens spent on reasoning."),
    Instrument(n.OPERATION_INPUT, "histogram", "{token}", _MODEL, "Input tokens of one request.", _TOKENS),
    Instrument(n.OPERATION_OUTPUT, "histogram", "{token}", _MODEL, "Output tokens of one request.", _TOKENS),
    _seconds(n.AGENT_DURATION, (*_AGENT, n.ERROR_TYPE), "Duration of a turn.", _AGENT_SECONDS),
    Instrument(n.AGENT_INFERENCE_CALLS, "histogram", "{inference_call}", _AGENT, "Model calls of a turn.", _CALLS),
    Instrument(n.AGENT_TOOL_CALLS, "histogram", "{tool_call}", _AGENT, "Tool calls of a turn.", _CALLS),
    _seconds(n.TOOL_DURATION, (n.TOOL_NAME, n.TOOL_TYPE, *_AGENT, n.ERROR_TYPE), "Duration of a tool call."),
)

_MONEY = (
    Instrument(
        n.COST_TOTAL,
        "counter",
        "{USD}",
        (*_AGENT, *_MODEL, *_PROMPT, n.COST_QUALITY),
        "Cost of model requests in USD. For rates; the books are agent_ledger_cost_usd.",
        money=True,
    ),
    Instrument(
        n.COST_DIFFERENCE,
        "counter",
        "{USD}",
        (*_AGENT, n.REQUEST_MODEL, n.COST_SIDE),
        "What providers state beyond the price book (more) or below it (less), in USD.",
        money=True,
    ),
    Instrument(
        n.TURN_COST_USD,
        "histogram",
        "{USD}",
        (*_AGENT, *_PROMPT, n.OUTCOME),
        "Cost of a turn in USD.",
        _USD,
        money=True,
    ),
    _gauge(n.LEDGER_COST, "{USD}", (*_AGENT, n.REQUEST_MODEL, *_PROMPT, n.COST_QUALITY), "Cost in the ledger in USD."),
    _gauge(n.BUDGET_LIMIT, "{USD}", _BUDGET, "Limit of a budget in USD."),
    _gauge(n.BUDGET_CHARGED, "{USD}", _BUDGET, "What a budget was charged in its window, in USD."),
    _gauge(n.BUDGET_HELD, "{USD}", _BUDGET, "What is held of a budget for open requests, in USD."),
    _count(n.BUDGET_REFUSALS, "{call}", _BUDGET, "Model calls refused by a budget before they were made."),
    _count(n.HOLDS_EXPIRED, "{hold}", (*_AGENT, n.REQUEST_MODEL), "Holds whose owner died; charged at their bound."),
    _count(n.BOUND_BREACHES, "{attempt}", (*_AGENT, n.REQUEST_MODEL), "Requests billed beyond what was held for them."),
    Instrument(
        n.BOUND_RATIO, "histogram", "1", (*_AGENT, n.REQUEST_MODEL), "Held over charged, per measured request.", _RATIOS
    ),
    _gauge(n.SETTLES_WAITING, "{settle}", (), "Settles that failed and are tried again in the background."),
)

_OPERATION = (
    _count(n.TURNS, "{turn}", (*_AGENT, *_PROMPT, n.OUTCOME), "Turns ended, by outcome."),
    _gauge(n.TURNS_ACTIVE, "{turn}", _AGENT, "Turns running now."),
    _count(n.RETRIES, "{retry}", (*_AGENT, n.REQUEST_MODEL, n.ERROR_TYPE), "Requests tried again."),
    _count(
        n.FALLBACKS,
        "{call}",
        (*_AGENT, n.REQUEST_MODEL, n.FALLBACK_MODEL, n.ERROR_TYPE),
        "Calls handed on to another model.",
    ),
    _count(n.REPEATS, "{tool_call}", (*_AGENT, n.TOOL_NAME, n.REPEAT_KIND), "Tool calls stopped as repeats."),
    _count(n.TOOL_REJECTIONS, "{tool_call}", (*_AGENT, n.TOOL_NAME, n.REJECTION), "Tool calls that were not run."),
    _gauge(n.PROMPT_ACTIVE, "{weight}", _PROMPT, "Weight of a prompt version among new conversations, 0 to 1."),
    _gauge(n.PROMPT_GENERATION, "{generation}", (), "Generation of prompt releases that this process serves."),
    _gauge(n.CONFIG_GENERATION, "{generation}", (), "Generation of configuration that this process serves."),
    _gauge(n.CONFIG_VALID, "{reload}", (), "1 if the last reload of the configuration was valid, else 0."),
    _count(n.TELEMETRY_DROPPED, "{item}", (n.SIGNAL, n.REASON), "Telemetry lost at the queue and at the exporter."),
)

_SERVICE = (
    _seconds(
        n.HTTP_DURATION,
        (n.HTTP_METHOD, n.URL_SCHEME, n.HTTP_ROUTE, n.HTTP_STATUS, n.ERROR_TYPE),
        "Duration of a request to the service, up to the end of its answer.",
        _HTTP_SECONDS,
    ),
)

INSTRUMENTS: dict[str, Instrument] = {i.name: i for i in (*_CONVENTIONS, *_MONEY, *_OPERATION, *_SERVICE)}
