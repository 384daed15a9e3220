"""Conversations as they are read, listed and erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from agent.store import steps
from agent.store.errors import StoreError
from agent.store.tables import conversation, is_open, step, turn
from agent.store.tx import Row, Tx

_ONE = select(conversation).where(conversation.c.id == bindparam("conversation_id"))
_LIST = select(conversation).order_by(conversation.c.updated_at.desc()).limit(bindparam("limit"))
_TURNS = (
    select(turn.c.id, turn.c.input, turn.c.state, turn.c.outcome, turn.c.begun_at)
    .where(turn.c.conversation == bindparam("conversation_id"))
    .order_by(turn.c.ordinal)
)
_OPEN = select(turn.c.id).where(turn.c.conversation == bindparam("conversation_id"), is_open)
_ERASE_CONVERSATION = (
    update(conversation)
    .where(conversation.c.id == bindparam("conversation_id"), conversation.c.erased_at.is_(None))
    .values(erased_at=bindparam("now"), user_id=None)
    .returning(conversation.c.id)
)
_ERASE_TURNS = (
    update(turn)
    .where(turn.c.conversation == bindparam("conversation_id"))
    .values(input=None, request=None, result=None)
)
_ERASE_STEPS = (
    update(step)
    .where(step.c.turn.in_(select(turn.c.id).where(turn.c.conversation == bindparam("conversation_id"))))
    .values(answer=None)
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row of the table, in the order of its columns. Times: Unix microseconds. `turns`: how many it has had."""

    id: str
    tenant: str
    user: str | None
    agent: str
    prompt_name: str
    prompt_version: str
    prompt_digest: str
    turns: int
    created_at: int
    updated_at: int
    erased_at: int | None


@dataclass(frozen=True, slots=True)
class PastTurn:
    """One turn of a conversation, with its journal rows in the order of `steps.COLUMNS`."""

    id: str
    input: str | None
    state: str
    outcome: str | None
    begun_at: int
    journal: Sequence[Row]


def read(tx: Tx, conversation_id: str) -> Conversation | None:
    rows = tx.rows(_ONE, {"conversation_id": conversation_id})
    return Conversation(*rows[0]) if rows else None  # type: ignore[arg-type]


def newest(tx: Tx, limit: int) -> list[Conversation]:
    return [Conversation(*row) for row in tx.rows(_LIST, {"limit": limit})]  # type: ignore[arg-type]


def turns_of(tx: Tx, conversation_id: str) -> list[PastTurn]:
    rows = tx.rows(_TURNS, {"conversation_id": conversation_id})
    return [PastTurn(*row[:5], journal=steps.read(tx, str(row[0]))) for row in rows]  # type: ignore[arg-type,misc]


class TurnOpen(StoreError):
    """A turn is open in the conversation: it would go on saying what is to be erased."""


def erase(tx: Tx, conversation_id: str) -> bool:
    """Removes what was said; ids, times and the ledger stay. False where there is nothing to erase. Raises
    `TurnOpen`."""
    if tx.rows(_OPEN, {"conversation_id": conversation_id}):
        raise TurnOpen(f"a turn is open in conversation {conversation_id}")
    if not tx.rows(_ERASE_CONVERSATION, {"conversation_id": conversation_id, "now": tx.now()}):
        return False
    tx.rows(_ERASE_TURNS, {"conversation_id": conversation_id})
    tx.rows(_ERASE_STEPS, {"conversation_id": conversation_id})
    return True
