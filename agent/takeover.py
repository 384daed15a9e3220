"""Turns whose process died: claimed at a higher epoch, read back from their journal, run to their end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, func, select

from agent import journal
from agent.memory.window import history
from agent.running import Totals
from agent.runtime import Agent
from agent.store import steps, turns
from agent.store.store import Store
from agent.store.tables import ledger
from agent.store.tx import Tx
from agent.tools.results import outcome_unknown
from agent.turn import Pin, Step, ToolStep, Turn
from agent.types import Caller

_SPENT = select(
    func.coalesce(func.sum(ledger.c.input_tokens).filter(ledger.c.quality == "measured"), 0),
    func.coalesce(func.sum(ledger.c.output_tokens).filter(ledger.c.quality == "measured"), 0),
    func.coalesce(func.sum(ledger.c.cost), 0),
).where(ledger.c.turn == bindparam("turn_id"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A turn of a dead process, now ours. `journaled` are its steps as the store has them."""

    turn: Turn
    journaled: tuple[Step, ...]
    before: Totals
    traceparent: str | None


def agent_of(store: Store, turn_id: str) -> str:
    """The name of the agent that a turn was for."""
    row = store.read(lambda tx: turns.read_turn(tx, turn_id))
    assert row
    return str(row[turns.TURN_COLUMNS.index("agent")])


def restore(store: Store, agent: Agent, turn_id: str, epoch: int) -> Taken:
    """Reads a claimed turn. The deadline stands still while nobody runs a turn."""
    return store.read(lambda tx: _restore(tx, agent, turn_id, epoch))


def _restore(tx: Tx, agent: Agent, turn_id: str, epoch: int) -> Taken:
    row = turns.read_turn(tx, turn_id)
    assert row
    fields = dict(zip(turns.TURN_COLUMNS, row, strict=True))
    journaled = journal.read(steps.read(tx, turn_id), steps.COLUMNS)
    conversation_id = str(fields["conversation"])
    turn = Turn(
        id=turn_id,
        conversation_id=conversation_id,
        ordinal=_int(fields["ordinal"]),
        agent=agent.name,
        caller=Caller(str(fields["tenant"]), _text(fields["user_id"]), _text(fields["caller_key"])),
        prompt=Pin(str(fields["prompt_name"]), str(fields["prompt_version"]), str(fields["prompt_digest"])),
        input=_text(fields["input"]) or "",
        history=history(tx, conversation_id, before=turn_id),
        bounds=agent.bounds,
        deadline=time.monotonic() + _left(fields["begun_at"], fields["deadline_at"], journaled),
        epoch=epoch,
        steps=tuple(_settled(step, agent) for step in journaled),
    )
    [(input_tokens, output_tokens, cost)] = tx.rows(_SPENT, {"turn_id": turn_id})
    before = Totals(_int(input_tokens), _int(output_tokens), _int(cost))
    return Taken(turn, journaled, before, _text(fields["traceparent"]))


def _left(begun: object, deadline: object, journaled: tuple[Step, ...]) -> float:
    """Seconds of its deadline that a turn had left when it was last heard of."""
    last = max([_int(begun), *(step.ended or step.began for step in journaled)])
    return (_int(deadline) - last) / 1e6


def _settled(step: Step, agent: Agent) -> Step:
    """A tool that had started runs again only if it says that it may."""
    if not isinstance(step, ToolStep) or step.result:
        return step
    tool = agent.tools.tools.get(step.call.name)
    if tool and tool.repeat != "never":
        return step
    return replace(step, result=outcome_unknown(step.call), ended=time.time_ns() // 1000, unknown=True)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _text(value: object) -> str | None:
    return None if value is None else str(value)
