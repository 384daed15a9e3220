"""Accepting turns: their rows, or why not. Nothing stays of one that is not accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql

from agent.store.tables import conversation, is_open, turn, turn_key
from agent.store.tx import Params, Tx
from agent.store.work import Begin, Conflict, Key, Known, Pace

MINUTE = 60 * 10**6
KEY_LIFE = 24 * 60 * MINUTE
"""Microseconds until a key may begin another turn."""

# PostgreSQL's ON CONFLICT is what SQLite has taken over, and SQLAlchemy writes this one for both.
_upsert = postgresql.insert(turn_key).values({column.name: bindparam(column.name) for column in turn_key.columns})
_TAKE_KEY = _upsert.on_conflict_do_update(
    index_elements=list(turn_key.primary_key),
    set_={name: _upsert.excluded[name] for name in ("request_digest", "turn", "at")},
    where=turn_key.c.at <= bindparam("outlived"),
).returning(turn_key.c.turn)
_KNOWN = select(turn_key.c.turn, turn_key.c.request_digest).where(
    turn_key.c.tenant == bindparam("tenant"),
    turn_key.c.caller_key == bindparam("caller_key"),
    turn_key.c.key == bindparam("key"),
)
_GIVE_KEY_BACK = delete(turn_key).where(
    turn_key.c.tenant == bindparam("tenant"),
    turn_key.c.caller_key == bindparam("caller_key"),
    turn_key.c.key == bindparam("key"),
)
_of_caller = (turn.c.tenant == bindparam("tenant"), turn.c.caller_key == bindparam("caller_key"))
_NTH_YOUNGEST = (
    select(turn.c.begun_at).where(*_of_caller).order_by(turn.c.begun_at.desc()).limit(1).offset(bindparam("younger"))
)
_OPEN_OF_CALLER = select(func.count()).select_from(turn).where(*_of_caller, is_open)
_OPEN = select(turn.c.id).where(turn.c.conversation == bindparam("conversation"), is_open)
_NEW_CONVERSATION = insert(conversation).values(
    id=bindparam("id"),
    tenant=bindparam("tenant"),
    user_id=bindparam("user_id"),
    agent=bindparam("agent"),
    prompt_name=bindparam("prompt_name"),
    prompt_version=bindparam("prompt_version"),
    prompt_digest=bindparam("prompt_digest"),
    turns=1,
    created_at=bindparam("now"),
    updated_at=bindparam("now"),
    erased_at=None,
)
_NEXT_ORDINAL = (
    update(conversation)
    .where(
        conversation.c.id == bindparam("conversation"),
        conversation.c.turns == bindparam("ordinal"),
        conversation.c.erased_at.is_(None),
    )
    .values(turns=conversation.c.turns + 1, updated_at=bindparam("now"))
    .returning(conversation.c.turns)
)
_FIXED = {"state": "running", "epoch": 1, "due_at": None, "ended_at": None, "outcome": None, "result": None}
_NEW_TURN = insert(turn).values(
    {column.name: bindparam(column.name) for column in turn.columns if column.name not in _FIXED} | _FIXED
)


@dataclass(frozen=True, slots=True)
class Declined:
    """A turn that was not accepted. `retry_after`: seconds."""

    conflict: Conflict
    known: Known | None = None
    retry_after: float | None = None


def begin(tx: Tx, asks: Sequence[Begin], owner: str, now: int) -> dict[str, Declined]:
    """Accepts turns; those that were not, by their ids. Conversations are locked in the order of their ids."""
    declined = {}
    for ask in sorted(asks, key=lambda ask: ask.conversation):
        if refused := _begin(tx, ask, owner, now):
            declined[ask.turn] = refused
    return declined


def _begin(tx: Tx, ask: Begin, owner: str, now: int) -> Declined | None:
    if ask.key is None:
        declined = _pace(tx, ask, now) or _go_on(tx, ask, now)
    elif known := _take_key(tx, ask, ask.key, now):
        return Declined("known", known)
    elif declined := _pace(tx, ask, now) or _go_on(tx, ask, now):
        tx.rows(_GIVE_KEY_BACK, _caller(ask) | {"key": ask.key.value})
    if declined is None:
        _new_turn(tx, ask, owner, now)
    return declined


def _caller(ask: Begin) -> dict[str, str]:
    return {"tenant": ask.caller.tenant, "caller_key": ask.caller.key or ""}


def _take_key(tx: Tx, ask: Begin, key: Key, now: int) -> Known | None:
    """The turn that the key is known by; None where it is the new one's now."""
    place = _caller(ask) | {"key": key.value}
    new: Params = {**place, "request_digest": key.digest, "turn": ask.turn, "at": now, "outlived": now - KEY_LIFE}
    if tx.rows(_TAKE_KEY, new):
        return None
    [(turn_id, digest)] = tx.rows(_KNOWN, place)
    return Known(str(turn_id), str(digest))


def _pace(tx: Tx, ask: Begin, now: int) -> Declined | None:
    if ask.pace is None or ask.caller.key is None:
        return None
    return _rate(tx, ask, ask.pace, now) or _crowd(tx, ask, ask.pace)


def _rate(tx: Tx, ask: Begin, pace: Pace, now: int) -> Declined | None:
    if pace.requests_per_minute is None:
        return None
    begun = tx.rows(_NTH_YOUNGEST, {**_caller(ask), "younger": pace.requests_per_minute - 1})
    wait = int(begun[0][0]) + MINUTE - now if begun else 0  # type: ignore[arg-type]
    return Declined("rate", retry_after=wait / 1e6) if wait > 0 else None


def _crowd(tx: Tx, ask: Begin, pace: Pace) -> Declined | None:
    if pace.concurrency is None:
        return None
    [(count,)] = tx.rows(_OPEN_OF_CALLER, _caller(ask))
    assert isinstance(count, int)
    return Declined("crowded") if count >= pace.concurrency else None


def _go_on(tx: Tx, ask: Begin, now: int) -> Declined | None:
    """Begins the conversation, or goes on with it."""
    if ask.ordinal == 0:
        _new_conversation(tx, ask, now)
    elif tx.rows(_OPEN, {"conversation": ask.conversation}):
        return Declined("busy")
    elif not tx.rows(_NEXT_ORDINAL, {"conversation": ask.conversation, "ordinal": ask.ordinal, "now": now}):
        return Declined("moved")
    return None


def _new_conversation(tx: Tx, ask: Begin, now: int) -> None:
    tx.rows(
        _NEW_CONVERSATION,
        {
            "id": ask.conversation,
            "tenant": ask.caller.tenant,
            "user_id": ask.caller.user,
            "agent": ask.agent,
            "prompt_name": ask.prompt_name,
            "prompt_version": ask.prompt_version,
            "prompt_digest": ask.prompt_digest,
            "now": now,
        },
    )


def _new_turn(tx: Tx, ask: Begin, owner: str, now: int) -> None:
    tx.rows(
        _NEW_TURN,
        {
            "id": ask.turn,
            "tenant": ask.caller.tenant,
            "user_id": ask.caller.user,
            "caller_key": ask.caller.key,
            "conversation": ask.conversation,
            "ordinal": ask.ordinal,
            "agent": ask.agent,
            "prompt_name": ask.prompt_name,
            "prompt_version": ask.prompt_version,
            "prompt_digest": ask.prompt_digest,
            "input": ask.input,
            "request": ask.request,
            "begun_at": now,
            "deadline_at": now + ask.deadline,
            "traceparent": ask.traceparent,
            "owner": owner,
            "owned_at": now,
        },
    )
