"""Works for the store, as short as a test wants them. Money in nano-dollars; ids are what a test calls things."""

from __future__ import annotations

from typing import Literal

from agent.money.account import EVERYTHING, Limit, Price
from agent.store.accounts import dims
from agent.store.work import Begin, Fence, Reserve, Settle, StepRow, Work
from agent.types import Caller
from telemetry.attempt import Attempt, Call
from telemetry.pricing import Cost
from telemetry.usage import Usage

BASE, UNIT = 100, 10
"""What `reserve` asks for, unless told otherwise: 1100 for the input and a hundred tokens of output."""


def everything(limit: int | None) -> tuple[Limit, ...]:
    return (Limit(EVERYTHING, "", "everything", limit),)


def begin(turn: str, conversation: str = "c1", ordinal: int = 0) -> Begin:
    return Begin(turn, conversation, ordinal, Caller(), "desk", "desk", "1", "digest", "help", 60_000_000, None)


def call(turn: str) -> Call:
    return Call(
        id=f"call-{turn}",
        turn_id=turn,
        step="m0",
        epoch=1,
        agent="desk",
        conversation_id="c1",
        tenant="local",
        user=None,
        provider="openai",
        model="small",
        server_address="127.0.0.1",
        server_port=1,
        prompt_name="desk",
        prompt_version="1",
        prompt_digest="digest",
        stream=True,
        parameters=(("temperature", 0.5),),
    )


def reserve(
    attempt: str,
    turn: str,
    limits: tuple[Limit, ...] | int | None,
    *,
    base: int = BASE,
    cap: int = 100,
    minimum: int = 1,
) -> Reserve:
    """`limits` may be the limit of everything alone."""
    if not isinstance(limits, tuple):
        limits = everything(limits)
    return Reserve(attempt, turn, "m0", 1, dims(call(turn), 1, "f" * 32), 100, Price(base, UNIT), cap, minimum, limits)


def settle(attempt: str, turn: str, cost: int, bound: int = 1100) -> Settle:
    booked = Attempt(
        id=attempt,
        call=call(turn),
        number=1,
        started=1,
        ended=2,
        duration=0.5,
        held_nano_usd=bound,
        cost=Cost(cost, "measured", "ceiling", (("input", "0.1"),)),
        usage=Usage(40, 5),
        response_model="small – „dated“",
        trace_id="f" * 32,
        span_id="e" * 16,
    )
    return Settle(booked, "attempt")


def step(turn: str, key: str = "m0", position: int = 0, answer: str | None = "{}") -> StepRow:
    state: Literal["started", "answered"] = "started" if answer is None else "answered"
    return StepRow(turn, key, position, 1, "model" if ".t" not in key else "tool", state, answer, 1, 2)


def opened(turn: str, attempt: str, limit: int | None, conversation: str | None = None, *, cap: int = 100) -> Work:
    """What begins a turn of a new conversation: its row and the hold of its first attempt."""
    begun = begin(turn, conversation or f"c-{turn}")
    return Work(fence=Fence(turn, 1), begin=begun, reserve=reserve(attempt, turn, limit, cap=cap))
