"""What of a conversation goes into the next request: all of it. (What doesn't fit ends the turn as `context_full`.)"""

from __future__ import annotations

from agent import journal
from agent.store import conversations, steps
from agent.store.tx import Tx
from agent.turn import exchange
from agent.types import Message


def history(tx: Tx, conversation_id: str, before: str | None = None) -> tuple[Message, ...]:
    """The messages of a conversation's earlier turns, those before turn `before` where it is given."""
    messages: list[Message] = []
    for turn in conversations.turns_of(tx, conversation_id):
        if turn.id == before:
            break
        if turn.input is not None:
            messages += exchange(turn.input, journal.read(turn.journal, steps.COLUMNS))
    return tuple(messages)
