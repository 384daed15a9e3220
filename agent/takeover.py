"""Turns whose process died: claimed at a higher epoch, read back from their journal, run to their end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, func, select

from agent import journal
from agent.memory import given
from agent.memory.window import history
from agent.opening import capped
from agent.running import Totals
from agent.runtime import Agent
from agent.store import steps, turns
from agent.store.store import Store
from agent.store.tables import ledger, step, turn
from agent.store.tx import Tx
from agent.tools.results import outcome_unknown
from agent.turn import Pin, Step, ToolStep, Turn
from agent.types import Caller

_reported = ledger.c.quality != "estimated"
_SPENT = select(
    func.sum(ledger.c.input_tokens).filter(_reported),
    func.sum(ledger.c.output_tokens).filter(_reported),
    func.coalesce(func.sum(ledger.c.cost), 0),
    func.count(ledger.c.call.distinct()).filter(ledger.c.span_id.is_not(None)),
).where(ledger.c.turn == bindparam("turn_id"))
_IN_ORDER = "cancelled"
"""How an attempt ended in a process that stopped as it should and gave its turns back."""

_WAITING = select(
    turn.c.agent,
    turn.c.prompt_digest,
    turn.c.epoch,
    select(func.coalesce(func.max(step.c.epoch), 1)).where(step.c.turn == turn.c.id).scalar_subquery(),
    select(func.coalesce(func.max(ledger.c.epoch), 1))
    .where(ledger.c.turn == turn.c.id, ledger.c.outcome == _IN_ORDER)
    .scalar_subquery(),
).where(turn.c.id == bindparam("turn_id"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A turn of a dead process, now ours. `journaled` are its steps as the store has them."""

    turn: Turn
    journaled: tuple[Step, ...]
    before: Totals
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued turn before it is claimed: what it needs, and how many processes in a row ended under it."""

    agent: str
    prompt_digest: str
    failures: int


async def look(store: Store, turn_id: str) -> Waiting:
    return await store.read(lambda tx: _look(tx, turn_id))


def _look(tx: Tx, turn_id: str) -> Waiting:
    [(agent, digest, epoch, journaled, handed_back)] = tx.rows(_WAITING, {"turn_id": turn_id})
    last = max(_int(journaled), _int(handed_back))
    # A process's end raises the epoch by one, and so does the next one's claim.
    return Waiting(str(agent), str(digest), (_int(epoch) - last + 1) // 2)


async def restore(store: Store, agent: Agent, turn_id: str, epoch: int) -> Taken:
    """Reads a claimed turn. The deadline stands still while nobody runs a turn."""
    return await store.read(lambda tx: _restore(tx, agent, turn_id, epoch))


def _restore(tx: Tx, agent: Agent, turn_id: str, epoch: int) -> Taken:
    row = turns.read_turn(tx, turn_id)
    assert row
    fields = dict(zip(turns.TURN_COLUMNS, row, strict=True))
    journaled = journal.read(steps.read(tx, turn_id), steps.COLUMNS)
    conversation_id = str(fields["conversation"])
    gave = given.read(_text(fields["request"]))
    taken = Turn(
        id=turn_id,
        conversation_id=conversation_id,
        ordinal=_int(fields["ordinal"]),
        agent=agent.name,
        caller=Caller(str(fields["tenant"]), _text(fields["user_id"]), _text(fields["caller_key"]) or None),
        prompt=Pin(str(fields["prompt_name"]), str(fields["prompt_version"]), str(fields["prompt_digest"])),
        input=_text(fields["input"]) or "",
        history=(*history(tx, conversation_id, before=turn_id), *gave.before),
        bounds=capped(agent.bounds, gave.max_output_tokens),
        deadline=time.monotonic() + _left(fields["deadline_at"], tx.now()),
        epoch=epoch,
        steps=tuple(_settled(each, agent) for each in journaled),
    )
    [(input_tokens, output_tokens, cost, calls)] = tx.rows(_SPENT, {"turn_id": turn_id})
    before = Totals(_known(input_tokens), _known(output_tokens), _int(cost), _int(calls))
    return Taken(taken, journaled, before, _text(fields["traceparent"]))


def _left(deadline: object, now: int) -> float:
    """Seconds that a turn has left. Its claim has moved the deadline by the time in which nobody ran it."""
    return (_int(deadline) - now) / 1e6


def _settled(journaled: Step, agent: Agent) -> Step:
    """A tool that had started runs again only if it says that it may."""
    if not isinstance(journaled, ToolStep) or journaled.result:
        return journaled
    tool = agent.tools.tools.get(journaled.call.name)
    if tool and tool.repeat != "never":
        return journaled
    return replace(journaled, result=outcome_unknown(journaled.call), ended=time.time_ns() // 1000, unknown=True)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _known(value: object) -> int | None:
    return None if value is None else _int(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
