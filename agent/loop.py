"""The loop: ask the model, run the tools it wants, append the results, repeat until an answer or a limit.

What comes next is read from the turn (`Turn.next`), so a turn taken over from a dead process runs through here as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from agent.admission import Taken, take_up
from agent.call import Called, Conversing, call
from agent.journal import Journal, NotBegun, TakenOver
from agent.runtime import Agent
from agent.store.errors import StoreError
from agent.turn import Ask, End, ModelStep, Turn
from agent.types import Emit, Outcome
from agent.use import use

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A turn that is over: how, with what text, and the last call, which may tell why."""

    turn: Turn
    outcome: Outcome
    text: str | None
    called: Called | None


async def run(agent: Agent, turn: Turn, journal: Journal, so_far: Conversing, emit: Emit) -> Ended:
    """Runs a turn to its end. Raises what the journal raises; a cancelled turn is ended as such before that goes on."""
    called, act = None, turn.next()
    try:
        while not isinstance(act, End):
            if isinstance(act, Ask):
                called = await call(agent, turn, act, journal, so_far, emit)
                so_far.turn = turn = _after(agent, turn, act, called)
                act = turn.next()
                await journal.write(turn, settle=called.settle, end=act if isinstance(act, End) else None)
            else:
                so_far.turn = turn = await use(agent, turn, act, emit)
                act = turn.next()
        if not journal.ended:
            await journal.write(turn, end=act)
    except (TakenOver, NotBegun, StoreError):
        raise
    except BaseException:  # cancelled, or whoever is shown the text failed
        if not so_far.handed_back:
            await asyncio.shield(_cancel(turn, journal))
        raise
    return Ended(turn, act.outcome, act.text, called)


def _after(agent: Agent, turn: Turn, act: Ask, called: Called) -> Turn:
    if called.reply is None:
        return turn.end(_why(turn, called))
    reply = called.reply
    now = time.time_ns() // 1000
    step = ModelStep(act.key, reply.message, reply.finish_reasons, called.model, called.began, now, act.closing)
    taken = take_up(turn, step, agent.tools.tools)
    _count(agent, taken)
    return turn.replied(taken.step, taken.tools, taken.ended)


def _why(turn: Turn, called: Called) -> Outcome:
    if called.failure is None:
        return "refused_budget"
    if called.failure.kind == "context_overflow":
        return "context_full"
    if called.failure.error_type == "content_filter":
        return "content_filtered"
    return "limit_time" if turn.progress().remaining <= 0 else "provider_failed"


def _count(agent: Agent, taken: Taken) -> None:
    metrics = agent.services.telemetry.metrics
    for tool, kind in taken.kinds:
        if kind == "same" or kind == "cycle" or kind == "ended":
            metrics.repeat(agent.name, tool.name, kind)
        elif kind != "run":
            metrics.rejection(agent.name, tool.name, kind)


async def _cancel(turn: Turn, journal: Journal) -> None:
    try:
        await journal.write(turn, end=End("cancelled", None))
    except (TakenOver, NotBegun):
        pass  # it is another process's, or never began: nothing of it is ours to end
    except StoreError as error:
        log.warning("turn %s was cancelled, which could not be written: %s", turn.id, error)
