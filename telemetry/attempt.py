"""The one value that feeds every signal: span, metrics and ledger are all made from an `Attempt`."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.pricing import Cost
from telemetry.usage import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a model call before it is made: the start attributes of a chat span, and a ledger row's
    dimensions. Ids are opaque strings; `tenant` and `user` are pseudonymous or None."""

    id: str
    turn_id: str
    step: str
    epoch: int
    agent: str
    conversation_id: str | None
    tenant: str | None
    user: str | None
    provider: str
    model: str
    server_address: str
    server_port: int
    prompt_name: str
    prompt_version: str
    prompt_digest: str
    stream: bool
    parameters: tuple[tuple[str, str | int | float | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request of a call, finished. Times: `started` and `ended` in Unix microseconds, durations in seconds.

    `usage` holds what the provider reported when `cost.quality` is `measured`, our own estimate when it is
    `estimated`; when `unknown`, what was reported without there being a price for it, or None. `error_type` is None
    where a whole answer arrived; whether it says anything is for who asked to judge.
    """

    id: str
    call: Call
    number: int
    started: int
    ended: int
    duration: float
    held_nano_usd: int
    cost: Cost
    usage: Usage | None = None
    response_id: str | None = None
    response_model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    service_tier: str | None = None
    system_fingerprint: str | None = None
    first_chunk: float | None = None
    chunk_gaps: tuple[float, ...] = ()
    error_type: str | None = None
    trace_id: str | None = None
    span_id: str | None = None

    @property
    def reported(self) -> Usage | None:
        """What the provider said of its usage, priced or not: the only tokens that `gen_ai.*` and a turn count."""
        return None if self.cost.quality == "estimated" else self.usage
