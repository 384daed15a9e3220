"""The seam to a provider: what goes into one attempt, what has come of it, how it fails. No provider in here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from agent.config import FailureKind, ModelConfig
from agent.models.arguments import joined
from agent.models.usage_parts import merged, reported
from agent.types import Json, Message, Reply, ToolCall
from telemetry.content import redact

_LONGEST_ID = 64

OnText: TypeAlias = Callable[[str], Awaitable[None]]
"""Awaited for every piece of text, never for an empty one; while it waits, nothing more is read from the provider."""

Billed = Literal["no", "maybe"]
"""`no`: the request never reached the provider or was refused before anything was generated."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. `tools` is the JSON array of tool definitions, encoded; b"" when there are none."""

    system: str
    messages: tuple[Message, ...]
    tools: bytes = b""
    tool_count: int = 0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A request's body, encoded once, open at its end: `head` + `]` + the output cap + `}`.

    The messages come last, so that a draft that goes on from an earlier one begins with that one's `head`.
    `input_bound`: input tokens that the body can cost at most (`input_bound.py` may tighten it).
    """

    head: bytes
    cap_parameter: str
    input_bound: int

    def with_cap(self, n: int) -> bytes:
        return b'%b],"%b":%d}' % (self.head, self.cap_parameter.encode(), n)


@dataclass(slots=True)
class ArrivedCall:
    """A tool call as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Arrived:
    """What has come of one answer so far. The caller makes and keeps it, so that it outlives a cancelled `send`.

    `sent`: the request may have left. `shown`: text was given to `on_text`. `usage` is what all pieces that stated
    usage say together, `usage_last` what the last one said. `usage_final`: the answer ended, and nothing had come after
    the count; counts so far of an answer that broke off are less than what is billed.
    """

    sent: bool = False
    shown: bool = False
    text: list[str] = field(default_factory=list)
    calls: list[ArrivedCall] = field(default_factory=list)
    finish_reason: str = ""
    response_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: dict[str, Json] | None = None
    usage_last: dict[str, Json] | None = None
    usage_final: bool = False
    first_chunk: float | None = None
    chunk_gaps: list[float] = field(default_factory=list)

    def anything(self) -> bool:
        return bool(self.text or self.calls or self.usage is not None)

    def count(self, usage: dict[str, Json]) -> None:
        """Takes in a usage object."""
        self.usage = usage if self.usage is None else merged(self.usage, usage)
        self.usage_last = usage

    def reply(self) -> Reply:
        """The reply as far as it has come. A finish reason that was expected and did not come is `error`."""
        used = None
        if self.usage is not None and self.usage_last is not None and self.usage_final:
            used = reported(self.usage_last, self.usage)
        return Reply(
            message=Message("assistant", "".join(self.text), _tool_calls(self.calls)),
            finish_reasons=(self.finish_reason or "error",),
            response_id=self.response_id,
            response_model=self.response_model,
            usage=None if used is None else used.usage,
            usage_stated=used is not None,
            stated_usd=None if used is None else used.stated_usd,
            service_tier=self.service_tier,
            system_fingerprint=self.system_fingerprint,
            first_chunk=self.first_chunk,
            chunk_gaps=tuple(self.chunk_gaps),
        )


def _tool_calls(calls: list[ArrivedCall]) -> tuple[ToolCall, ...]:
    """Calls that can be answered: named, with an id that no other call of the reply has, `{}` for no arguments. An id
    is repeated in each further request and in telemetry: a long one, or one that looks like a secret, is replaced."""
    taken = {call.id for call in calls}
    used: set[str] = set()
    result: list[ToolCall] = []
    for call in calls:
        if not call.name:
            continue
        identity, n = call.id if _is_id(call.id) else "", len(result)
        while not identity or identity in used:
            identity, n = (f"call_{n}" if f"call_{n}" not in taken else ""), n + 1
        used.add(identity)
        result.append(ToolCall(identity, call.name, joined(call.arguments) or "{}"))
    return tuple(result)


def _is_id(text: str) -> bool:
    return len(text) <= _LONGEST_ID and redact(text) == text


@dataclass(eq=False, slots=True)
class CallFailed(Exception):
    """An attempt that brought no usable reply. For the operator: `kind` and `error_type`; `message` is content.

    `error_type` is the provider's code where it is a short identifier, else `http_STATUS` or what went wrong here.
    `retry_after`: seconds. `reply` holds what arrived all the same, usage inside an error included.
    """

    kind: FailureKind
    error_type: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    billed: Billed = "maybe"
    reply: Reply | None = None
    shown: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.error_type}"


class NoRoom(CallFailed):
    """The model was not asked: the conversation leaves no room for an answer. `message` has the numbers, no content."""

    def __str__(self) -> str:
        return self.message


class Model(Protocol):
    """One model of `models.yaml` at its endpoint."""

    @property
    def config(self) -> ModelConfig: ...

    def encode(self, request: Request, earlier: tuple[Request, Draft] | None = None) -> Draft:
        """Its body. Of an `earlier` request to this model that it goes on from, nothing is encoded again."""
        ...

    async def send(
        self,
        body: bytes,
        *,
        stream: bool,
        on_text: OnText,
        time_limit: float,
        arrived: Arrived,
    ) -> Reply:
        """One attempt, over within `time_limit` seconds. Raises CallFailed.

        What `on_text` raises passes through, as does cancellation: the connection is closed, `arrived` is left."""
        ...

    async def close(self) -> None: ...
