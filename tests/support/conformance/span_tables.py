"""The span half of the telemetry contract as tables, spelled out here a second time: the check must not believe
the names that the program under test believes.

Source: the OpenTelemetry GenAI semantic conventions (development; v0.1.0 where its text could be read), with the
choices that the telemetry contract made. Requirement levels are the conventions': what they ask for under a condition
is a rule in `conformance`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.signals import SpanKind

CONTENT = frozenset(
    {
        "gen_ai.system_instructions",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.definitions",
    }
)
TOOL_CONTENT = frozenset({"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"})
PROMPT_VARIABLE = "gen_ai.prompt.variable."

_CALLER = frozenset({"agent.tenant", "user.id"})
_USAGE = frozenset({"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"})
"""Where a provider reported it: that an agent's span then has the sums is a rule."""
_REQUEST_PARAMETERS = frozenset(
    f"gen_ai.request.{name}"
    for name in (
        "choice.count",
        "frequency_penalty",
        "max_tokens",
        "presence_penalty",
        "reasoning.level",
        "seed",
        "stop_sequences",
        "stream",
        "temperature",
        "top_k",
        "top_p",
    )
)


@dataclass(frozen=True, slots=True)
class Operation:
    """A span of the contract. `named` is the attribute in its name. `required` is there always, `answered` as soon as
    the operation succeeded, `optional` may be there; of our namespaces and `gen_ai.*` nothing else may."""

    kind: SpanKind
    named: str
    required: frozenset[str]
    answered: frozenset[str]
    optional: frozenset[str]
    content: frozenset[str]

    @property
    def declared(self) -> frozenset[str]:
        return self.required | self.answered | self.optional | self.content


OPERATIONS = {
    "invoke_agent": Operation(
        kind="INTERNAL",
        named="gen_ai.agent.name",
        required=frozenset({"gen_ai.operation.name", "gen_ai.agent.name", "agent.turn.id"}),
        answered=frozenset({"gen_ai.response.finish_reasons", "agent.turn.cost.usd", "agent.outcome"}),
        optional=frozenset({"gen_ai.conversation.id", "gen_ai.request.model", "error.type"}) | _USAGE | _CALLER,
        content=CONTENT,
    ),
    "chat": Operation(
        kind="CLIENT",
        named="gen_ai.request.model",
        required=frozenset(
            {
                "gen_ai.operation.name",
                "gen_ai.provider.name",
                "gen_ai.request.model",
                "server.address",
                "server.port",
                "agent.cost.quality",
                "agent.attempts",
            }
        ),
        answered=frozenset({"gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.finish_reasons"}),
        optional=frozenset(
            {
                "gen_ai.conversation.id",
                "gen_ai.conversation.compacted",
                "gen_ai.prompt.name",
                "gen_ai.prompt.version",
                "gen_ai.response.time_to_first_chunk",
                "gen_ai.usage.cache_read.input_tokens",
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.reasoning.output_tokens",
                "openai.api.type",
                "openai.request.service_tier",
                "openai.response.service_tier",
                "openai.response.system_fingerprint",
                "error.type",
                "agent.cost.usd",
                "agent.held.usd",
                "agent.prompt.digest",
            }
        )
        | _USAGE
        | _REQUEST_PARAMETERS
        | _CALLER,
        content=CONTENT,
    ),
    "execute_tool": Operation(
        kind="INTERNAL",
        named="gen_ai.tool.name",
        required=frozenset({"gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id"}),
        answered=frozenset({"gen_ai.tool.description"}),
        optional=frozenset({"gen_ai.agent.name", "gen_ai.conversation.id", "error.type"}) | _CALLER,
        content=TOOL_CONTENT,
    ),
}

NAMESPACES = ("gen_ai.", "agent.", "openai.")
"""Closed: an attribute in one of these must be declared. `mcp.*` and others pass."""

CLOSED_SETS = {
    "gen_ai.operation.name": frozenset(OPERATIONS),
    "gen_ai.tool.type": frozenset({"function"}),
    "gen_ai.token.modality": frozenset({"text", "image", "audio", "unknown"}),
    "openai.api.type": frozenset({"chat_completions", "responses"}),
    "agent.cost.quality": frozenset({"measured", "estimated", "unknown"}),
    "agent.outcome": frozenset(
        {
            "answered",
            "refused_budget",
            "limit_steps",
            "limit_tools",
            "limit_time",
            "limit_tokens",
            "repeating",
            "context_full",
            "provider_failed",
            "content_filtered",
            "cancelled",
            "resumed_unknown",
        }
    ),
    "agent.cost.side": frozenset({"more", "less"}),
    "agent.repeat.kind": frozenset({"same", "cycle", "ended"}),
    "agent.rejection": frozenset({"unknown_tool", "invalid_arguments", "too_many"}),
}

EVENTS = {
    "gen_ai.client.inference.operation.details": "DEBUG",
    "gen_ai.client.operation.exception": "WARN",
    "gen_ai.execute_tool.exception": None,
    "gen_ai.evaluation.result": None,
}
"""Events of the conventions with their severity where the contract names one."""
