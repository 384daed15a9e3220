"""Turns and conversations: who runs what, at which epoch."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, insert, select, update

from agent.store.tables import conversation, turn, worker
from agent.store.tx import IDS, Row, Tx
from agent.store.work import Begin, Conflict, Fence, Finish

_OPEN = select(turn.c.id).where(turn.c.conversation == bindparam("conversation"), turn.c.state != "done")
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
_NEW_TURN = insert(turn).values(
    {column.name: bindparam(column.name) for column in turn.columns if column.name not in ("state", "epoch")}
    | {"state": "running", "epoch": 1}
)
_FENCE = (
    select(turn.c.id, turn.c.epoch)
    .where(turn.c.id.in_(bindparam(IDS, expanding=True)), turn.c.state == "running")
    .order_by(turn.c.id)
    .with_for_update(read=True)
)
_FINISH = (
    update(turn)
    .where(turn.c.id == bindparam("turn_id"))
    .values(
        state="done", ended_at=bindparam("now"), outcome=bindparam("outcome"), result=bindparam("result"), owner=None
    )
)
_QUEUED = select(turn.c.id).where(turn.c.state == "queued", turn.c.due_at <= bindparam("now")).order_by(turn.c.due_at)
_CLAIM = (
    update(turn)
    .where(
        turn.c.id == bindparam("turn_id"),
        turn.c.state == "queued",
        exists(select(worker.c.id).where(worker.c.id == bindparam("owner"), worker.c.state == "live")),
    )
    .values(state="running", owner=bindparam("owner"), epoch=turn.c.epoch + 1, due_at=None)
    .returning(turn.c.epoch)
)
_TURN = select(turn).where(turn.c.id == bindparam("turn_id"))
TURN_COLUMNS = tuple(column.name for column in turn.columns)


def begin(tx: Tx, ask: Begin, owner: str, now: int) -> Conflict | None:
    """Accepts a turn, or says why not: `busy` (one is under way in this conversation), `moved` (it has gone on)."""
    if ask.ordinal == 0:
        _new_conversation(tx, ask, now)
    elif tx.rows(_OPEN, {"conversation": ask.conversation}):
        return "busy"
    elif not tx.rows(_NEXT_ORDINAL, {"conversation": ask.conversation, "ordinal": ask.ordinal, "now": now}):
        return "moved"
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
            "begun_at": now,
            "deadline_at": now + ask.deadline,
            "traceparent": ask.traceparent,
            "owner": owner,
            "due_at": None,
            "ended_at": None,
            "outcome": None,
            "result": None,
        },
    )
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


def held_fences(tx: Tx, fences: Sequence[Fence]) -> set[Fence]:
    """Those fences that still stand: the turn runs at this epoch. Locks the turns against being taken over."""
    if not fences:
        return set()
    standing = set(tx.among(_FENCE, sorted({fence.turn for fence in fences})))
    return {fence for fence in fences if (fence.turn, fence.epoch) in standing}


def finish(tx: Tx, turn_id: str, end: Finish, now: int) -> None:
    tx.rows(_FINISH, {"turn_id": turn_id, "now": now, "outcome": end.outcome, "result": end.result})


def queued(tx: Tx, now: int) -> list[str]:
    return [str(row[0]) for row in tx.rows(_QUEUED, {"now": now})]


def claim(tx: Tx, turn_id: str, owner: str) -> int | None:
    """Takes over a queued turn: its new epoch. None: another process was first, or this one was declared dead."""
    found = tx.rows(_CLAIM, {"turn_id": turn_id, "owner": owner})
    return int(found[0][0]) if found else None  # type: ignore[arg-type]


def read_turn(tx: Tx, turn_id: str) -> Row | None:
    """A turn row in the order of `TURN_COLUMNS`."""
    found = tx.rows(_TURN, {"turn_id": turn_id})
    return found[0] if found else None
