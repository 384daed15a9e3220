"""What is known of a turn while it runs, beside what it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.models.input_bound import LastCall
from agent.models.protocol import Draft, Request
from agent.turn import Transcript, Turn
from telemetry.attempt import Attempt


@dataclass(slots=True)
class Conversing:
    """How far a turn has come, every attempt so far, and per model the last real count and the last request.
    `handed_back`: a turn that is cancelled now is not ended, another process goes on with it."""

    stream: bool
    trace_id: str = ""
    turn: Turn | None = None
    handed_back: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    last: dict[str, LastCall] = field(default_factory=dict)
    drafts: dict[str, tuple[Request, Draft]] = field(default_factory=dict)
    transcript: Transcript = field(default_factory=Transcript)
