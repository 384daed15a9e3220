"""A turn under its span: opened, run, counted, and told to whoever asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import capture
from agent.conversing import Conversing
from agent.journal import Journal, NotBegun, TakenOver
from agent.loop import run
from agent.runtime import Agent
from agent.store.errors import StoreError
from agent.turn import End, Turn
from agent.types import STAND_IN, Emit, TurnResult
from telemetry.attempt import Attempt
from telemetry.failure import error_type
from telemetry.spans import AgentSpan
from telemetry.usage import Usage


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over attempts: tokens that providers reported (None: none did), nano-dollars charged, calls made."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: int = 0
    calls: int = 0
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None

    def plus(self, attempts: Sequence[Attempt]) -> Totals:
        reported = [usage for a in attempts if (usage := a.reported) is not None]
        return Totals(
            _sum([self.input_tokens, *(usage.input_tokens for usage in reported)]),
            _sum([self.output_tokens, *(usage.output_tokens for usage in reported)]),
            self.cost + sum(a.cost.nano_usd for a in attempts),
            self.calls + len({a.call.id for a in attempts}),
            _sum([self.cache_read_tokens, *(usage.cache_read_tokens for usage in reported)]),
            _sum([self.reasoning_tokens, *(usage.reasoning_tokens for usage in reported)]),
        )


def _sum(counts: Sequence[int | None]) -> int | None:
    stated = [count for count in counts if count is not None]
    return sum(stated) if stated else None


NOTHING = Totals()
NEVER_RAN = frozenset({"not_run", "unknown_tool", "same", "cycle"})
"""The `error_type` of tool calls that were answered without being run."""


async def run_turn(
    agent: Agent,
    turn: Turn,
    open_journal: Callable[[str], Journal],
    emit: Emit,
    *,
    so_far: Conversing,
    traceparent: str | None = None,
    before: Totals = NOTHING,
) -> TurnResult:
    """Runs a turn to its end. `open_journal` gets the W3C traceparent of the turn's span. Raises what `run` raises."""
    telemetry = agent.services.telemetry
    started = time.perf_counter()
    opened = telemetry.spans.invoke_agent(
        agent.name,
        turn.id,
        conversation_id=turn.conversation_id,
        model=agent.chain[0].model.config.model if len(agent.chain) == 1 else None,
        tenant=turn.caller.tenant,
        user=turn.caller.user,
        traceparent=traceparent,
    )
    telemetry.metrics.turn_started(agent.name)
    so_far.turn = turn
    journal: Journal | None = None
    cut: BaseException | None = None
    try:
        with opened as span:
            so_far.trace_id = span.trace_id
            journal = open_journal(span.traceparent)
            try:
                await run(agent, turn, journal, so_far, emit)
            except (TakenOver, NotBegun, StoreError):
                raise
            except BaseException as error:  # noqa: BLE001 - raised again below, when the span has said how it ended
                cut = error
                if journal.ended is None or journal.ended.outcome == "cancelled":
                    span.fail("handed_back" if so_far.handed_back else error_type(error))
            finally:
                totals = before.plus(so_far.attempts)
                if journal.ended:
                    _close(agent, span, turn, journal.ended, so_far, totals)
    finally:
        telemetry.metrics.turn_ended(agent.name)
        if journal and journal.ended:
            _count(agent, so_far.turn, journal.ended, time.perf_counter() - started, totals, span)
    if cut and not _came_too_late(cut, journal, so_far):
        raise cut
    assert journal.ended
    return _result(so_far.turn, journal.ended, so_far, totals, time.perf_counter() - started)


def _came_too_late(cut: BaseException, journal: Journal, so_far: Conversing) -> bool:
    """Whether only this process was to give the turn back, which had ended by then."""
    task = asyncio.current_task()
    handed_back = isinstance(cut, asyncio.CancelledError) and so_far.handed_back
    return bool(handed_back and journal.ended and task and not task.uncancel())


def _close(agent: Agent, span: AgentSpan, turn: Turn, end: End, so_far: Conversing, totals: Totals) -> None:
    reasons = next((a.finish_reasons for a in reversed(so_far.attempts) if a.finish_reasons), ())
    span.finish(
        end.outcome,
        cost_nano_usd=totals.cost,
        finish_reasons=reasons,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
    )
    if end.error_type:
        span.fail(end.error_type)
    capture.of_turn(agent, turn, end.text, span)


def _count(agent: Agent, turn: Turn, end: End, seconds: float, totals: Totals, span: AgentSpan) -> None:
    agent.services.telemetry.metrics.turn(
        agent=agent.name,
        prompt=(turn.prompt.name, turn.prompt.version),
        outcome=end.outcome,
        cost_nano_usd=totals.cost,
        duration=seconds,
        inference_calls=totals.calls,
        tool_calls=sum(1 for step in turn.tools() if step.result and step.result.error_type not in NEVER_RAN),
        error_type=span.error_type,
        exemplar=span.exemplar,
    )


def _result(turn: Turn, end: End, so_far: Conversing, totals: Totals, seconds: float) -> TurnResult:
    return TurnResult(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        trace_id=so_far.trace_id,
        agent=turn.agent,
        outcome=end.outcome,
        text=end.text,
        reason=end.reason,
        usage=Usage(
            totals.input_tokens,
            totals.output_tokens,
            totals.cache_read_tokens,
            reasoning_tokens=totals.reasoning_tokens,
        ),
        cost_nano_usd=totals.cost,
        prompt_name=turn.prompt.name,
        prompt_version=turn.prompt.version,
        models=tuple(dict.fromkeys(step.model for step in turn.models())),
        stand_in=any(attempt.system_fingerprint == STAND_IN for attempt in so_far.attempts),
        seconds=seconds,
        refused=end.refused,
    )
