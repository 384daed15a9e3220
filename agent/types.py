"""The few words everything here is made of. Values only; the README of the house is in CONTRIBUTING.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from agent.money.account import Refused
from telemetry.usage import Usage

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Role = Literal["system", "user", "assistant", "tool"]

Outcome = Literal[
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
]
"""How a turn ended; the closed set of the label `agent.outcome`."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as the model wrote it; `arguments` is its raw text, which need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `tool_call_id` is set exactly when the role is `tool`."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, streamed or not. `usage` is None where the provider reported none or nonsense;
    `usage_stated` tells the one from the other.

    `stated_usd` is a cost that the provider stated itself. `first_chunk` and `chunk_gaps` are seconds, streamed only.
    """

    message: Message
    finish_reasons: tuple[str, ...]
    response_id: str | None = None
    response_model: str | None = None
    usage: Usage | None = None
    usage_stated: bool = False
    stated_usd: Decimal | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    first_chunk: float | None = None
    chunk_gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told about one of its tool calls. `error_type` is None when the tool ran and returned."""

    call: ToolCall
    content: str
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks and pays. All pseudonymous; `key` names the credential, never holds it."""

    tenant: str = "local"
    user: str | None = None
    key: str | None = None

    def may_see(self, tenant: str, user: str | None) -> bool:
        """Whether what this tenant and user began is the caller's: all of its tenant's where it speaks for no user."""
        return tenant == self.tenant and self.user in (None, user)


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended, for whoever asked. Tokens are what providers reported, money all that was charged, failed
    attempts included. `reason` says what stood in the way of an answer; `models` answered, by their configured names;
    `stand_in`: one of the answers came from the offline model, wherever it was reached. `refused`: the numbers of the
    budget that stood in the way.
    """

    turn_id: str
    conversation_id: str
    trace_id: str
    agent: str
    outcome: Outcome
    text: str | None
    reason: str | None
    usage: Usage
    cost_nano_usd: int
    prompt_name: str
    prompt_version: str
    models: tuple[str, ...]
    stand_in: bool
    seconds: float
    refused: Refused | None = None


STAND_IN = "offline-stand-in"
"""The `system_fingerprint` of the offline model's answers: by it they are known, whoever passed them on."""


# --- what a turn tells while it runs -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolFinished:
    result: ToolResult


@dataclass(frozen=True, slots=True)
class Retrying:
    """Another attempt (or, with `model`, another model) follows after `delay` seconds."""

    error_type: str
    delay: float
    model: str | None = None


Event: TypeAlias = TextDelta | ToolStarted | ToolFinished | Retrying
Emit: TypeAlias = Callable[[Event], Awaitable[None]]
