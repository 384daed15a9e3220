"""The loop: ask the model, run the tools it wants, append the results, repeat until an answer or a limit.

What comes next is read from the turn (`Turn.next`), so a turn taken over from a dead process runs through here as well.
"""

from __future__ import annotations

import logging
import time

from agent.admission import Taken, take_up
from agent.call import Called, call
from agent.conversing import Conversing
from agent.ending import explained, outcome_of
from agent.journal import Journal, NotBegun, TakenOver
from agent.runtime import Agent
from agent.store.errors import StoreError
from agent.to_its_end import to_its_end
from agent.turn import Ask, End, ModelStep, Turn
from agent.types import Emit
from agent.use import use

log = logging.getLogger(__name__)


async def run(agent: Agent, turn: Turn, journal: Journal, so_far: Conversing, emit: Emit) -> None:
    """Runs a turn to its end, which is then in `journal.ended`. Raises what the journal raises; a cancelled turn is
    ended as such before that goes on."""
    called = None
    try:
        while not isinstance(act := turn.next(), End):
            if isinstance(act, Ask):
                called = await call(agent, turn, act, journal, so_far, emit)
                so_far.turn = turn = _after(agent, turn, act, called)
                if not isinstance(turn.next(), End):
                    await journal.write(turn)
            else:
                so_far.turn = turn = await use(agent, turn, act, emit)
        await journal.write(turn, end=explained(act, called, turn.bounds))
    except (TakenOver, NotBegun, StoreError):
        raise
    except BaseException:  # cancelled, or whoever is shown the text failed
        if not journal.ended:
            await to_its_end(_leave(turn, journal, so_far.handed_back))
        raise


def _after(agent: Agent, turn: Turn, act: Ask, called: Called) -> Turn:
    if called.reply is None:
        return turn.end(outcome_of(turn, act.closing, called))
    reply = called.reply
    now = time.time_ns() // 1000
    step = ModelStep(act.key, reply.message, reply.finish_reasons, called.model, called.began, now, act.closing)
    taken = take_up(turn, step, agent.tools.tools)
    _count(agent, taken)
    return turn.replied(taken.step, taken.tools, taken.ended)


def _count(agent: Agent, taken: Taken) -> None:
    metrics = agent.services.telemetry.metrics
    for tool, kind in taken.kinds:
        if kind == "same" or kind == "cycle" or kind == "ended":
            metrics.repeat(agent.name, tool.name, kind)
        elif kind != "run":
            metrics.rejection(agent.name, tool.name, kind)


async def _leave(turn: Turn, journal: Journal, handed_back: bool) -> None:
    """Ends a turn as cancelled; one that another process goes on with is only paid for."""
    try:
        if handed_back:
            await journal.settle()
        else:
            await journal.write(turn, end=End("cancelled", None, "cancelled"))
    except (TakenOver, NotBegun):
        pass  # it is another process's, or never began: nothing of it is ours to end
    except StoreError as error:
        log.warning("turn %s was cancelled, which could not be written: %s", turn.id, error)
