"""What a turn asks of the store between two acts on the outside world, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.money.account import Granted, Limit, Price, Refused
from agent.types import Caller, Json, Outcome
from telemetry.attempt import Attempt

Conflict = Literal["known", "rate", "crowded", "busy", "moved"]
"""Why a turn was not begun: its key has begun one already; its caller begins too many a minute, or has too many open;
another one is open in its conversation, or the conversation has gone on."""


@dataclass(frozen=True, slots=True)
class Key:
    """A caller's idempotency key, and a digest of what the caller asked for under it."""

    value: str
    digest: str


@dataclass(frozen=True, slots=True)
class Known:
    """The turn that a key has begun, and the digest of what was asked for then."""

    turn: str
    digest: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one caller may begin turns (from 1; None: no limit), and how many of them may be open at once."""

    requests_per_minute: int | None
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class Begin:
    """A turn that is to be accepted. `ordinal` is its place in the conversation as the caller has read it (0: a new
    one); `deadline` the microseconds that it gets; `request` what the caller gave beside the input, as JSON. `pace` is
    of callers who have a key; a caller without one is this machine's user."""

    turn: str
    conversation: str
    ordinal: int
    caller: Caller
    agent: str
    prompt_name: str
    prompt_version: str
    prompt_digest: str
    input: str
    deadline: int
    traceparent: str | None
    request: str | None = None
    key: Key | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """Who says that the turn is still this process's. Refused once another process has raised the epoch."""

    turn: str
    epoch: int


@dataclass(frozen=True, slots=True)
class StepRow:
    """A journal row. `answers` tells that the row was written as `started` before and now gets its answer."""

    turn: str
    key: str
    position: int
    epoch: int
    kind: Literal["model", "tool"]
    state: Literal["started", "answered", "unknown"]
    answer: str | None
    started_at: int
    answered_at: int | None
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Reserve:
    """A hold asked for. `dims` is the call as JSON, so that whoever expires the hold can write its ledger row."""

    attempt: str
    turn: str
    step: str
    epoch: int
    dims: str
    input_tokens: int
    price: Price
    cap: int
    minimum: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """The end of a hold: charged (`attempt`), or never billed (`release`)."""

    attempt: Attempt
    kind: Literal["attempt", "release"]


@dataclass(frozen=True, slots=True)
class Finish:
    """How the turn ended, and with what answer. `reason` tells a person why it is none; `detail` has the numbers."""

    outcome: Outcome
    text: str | None
    reason: str | None = None
    detail: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """Ends the holds whose lease is over, charged at their bound."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Takes over a queued turn."""

    turn: str


@dataclass(frozen=True, slots=True)
class Work:
    """All of one turn for one transaction. A refused fence drops everything but the settle."""

    fence: Fence | None = None
    begin: Begin | None = None
    settle: Settle | None = None
    steps: tuple[StepRow, ...] = ()
    reserve: Reserve | None = None
    finish: Finish | None = None
    expire: Expire | None = None
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a `Work`. `at` is the transaction's database time, Unix microseconds; `expired` are the
    attempts whose holds `Expire` ended; `epoch` is the one that a `Claim` won, None where it was too late. `known` goes
    with the conflict of that name, `retry_after` (seconds) with "rate"."""

    at: int
    grant: Granted | Refused | None = None
    fenced: bool = False
    conflict: Conflict | None = None
    known: Known | None = None
    retry_after: float | None = None
    expired: tuple[Attempt, ...] = ()
    epoch: int | None = None
