"""A turn under its span: opened, run, counted, and told to whoever asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import capture
from agent.call import Called, Conversing
from agent.journal import Journal, NotBegun, TakenOver
from agent.loop import Ended, run
from agent.money.account import Refused
from agent.runtime import Agent
from agent.store.errors import StoreError
from agent.turn import Turn
from agent.types import STAND_IN, Emit, Outcome, TurnResult
from telemetry.attempt import Attempt
from telemetry.events import qualified_name
from telemetry.spans import AgentSpan
from telemetry.usage import Usage


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over attempts: tokens that providers reported, nano-dollars charged."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0

    def plus(self, attempts: Sequence[Attempt]) -> Totals:
        measured = [a.usage for a in attempts if a.usage and a.cost.quality == "measured"]
        return Totals(
            self.input_tokens + sum(usage.input_tokens or 0 for usage in measured),
            self.output_tokens + sum(usage.output_tokens or 0 for usage in measured),
            self.cost + sum(a.cost.nano_usd for a in attempts),
        )


NOTHING = Totals()


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
    ended: Ended | None = None
    outcome: Outcome | None = None
    try:
        with opened as span:
            so_far.trace_id = span.trace_id
            try:
                ended = await run(agent, turn, open_journal(span.traceparent), so_far, emit)
                outcome = ended.outcome
            except (TakenOver, NotBegun, StoreError):
                raise
            except BaseException as error:
                if so_far.handed_back:
                    span.fail("handed_back")
                else:
                    outcome = "cancelled"
                    span.fail(outcome if isinstance(error, asyncio.CancelledError) else qualified_name(error))
                raise
            finally:
                totals = before.plus(so_far.attempts)
                if outcome:
                    _close(agent, span, turn, ended, outcome, so_far, totals)
    finally:
        telemetry.metrics.turn_ended(agent.name)
        if outcome:
            _count(agent, so_far.turn or turn, outcome, time.perf_counter() - started, totals, span)
    return _result(ended, so_far, totals, time.perf_counter() - started)


def _close(
    agent: Agent,
    span: AgentSpan,
    turn: Turn,
    ended: Ended | None,
    outcome: Outcome,
    so_far: Conversing,
    totals: Totals,
) -> None:
    reasons = next((a.finish_reasons for a in reversed(so_far.attempts) if a.finish_reasons), ())
    span.finish(
        outcome,
        cost_nano_usd=totals.cost,
        finish_reasons=reasons,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
    )
    if ended and outcome != "answered":
        failure = ended.called.failure if ended.called else None
        span.fail(failure.error_type if outcome == "provider_failed" and failure else outcome)
    capture.of_turn(agent, turn, ended.text if ended else None, span)


def _count(agent: Agent, turn: Turn, outcome: Outcome, seconds: float, totals: Totals, span: AgentSpan) -> None:
    agent.services.telemetry.metrics.turn(
        agent=agent.name,
        prompt=(turn.prompt.name, turn.prompt.version),
        outcome=outcome,
        cost_nano_usd=totals.cost,
        duration=seconds,
        inference_calls=sum(1 for _ in turn.models()),
        tool_calls=sum(1 for _ in turn.tools()),
        error_type=None if outcome == "answered" else outcome,
        exemplar=span.exemplar,
    )


def _result(ended: Ended, so_far: Conversing, totals: Totals, seconds: float) -> TurnResult:
    turn = ended.turn
    return TurnResult(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        trace_id=so_far.trace_id,
        agent=turn.agent,
        outcome=ended.outcome,
        text=ended.text,
        reason=reason(ended.outcome, ended.called),
        usage=Usage(totals.input_tokens, totals.output_tokens),
        cost_nano_usd=totals.cost,
        prompt_name=turn.prompt.name,
        prompt_version=turn.prompt.version,
        models=tuple(dict.fromkeys(step.model for step in turn.models())),
        stand_in=any(attempt.system_fingerprint == STAND_IN for attempt in so_far.attempts),
        seconds=seconds,
    )


def reason(outcome: Outcome, called: Called | None) -> str | None:
    """Why there is no answer, in words for whoever asked."""
    if outcome == "answered":
        return None
    why = [f"{called.model}: {called.failure}"] if called and called.failure else []
    why += [_no(called.refused)] if called and called.refused else []
    if why:
        return "; ".join(why)
    return {
        "limit_steps": "the limit of steps was reached",
        "limit_tools": "the limit of tool calls was reached",
        "limit_time": "the deadline was reached",
        "limit_tokens": "the answer was cut at the limit of output tokens",
        "repeating": "the model went on repeating the same tool calls",
        "content_filtered": "the provider filtered the answer",
    }.get(outcome, outcome)


def _no(refused: Refused) -> str:
    usd = [f"${amount / 1e9:.6f}" for amount in (refused.limit, refused.charged, refused.held, refused.asked)]
    return f"budget {refused.budget}: limit {usd[0]}, charged {usd[1]}, held {usd[2]}; this call asked for {usd[3]}"
