"""What of a conversation goes into the next request: all of it. (What doesn't fit ends the turn as `context_full`.)"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from agent import journal
from agent.memory import given
from agent.store import steps
from agent.store.tx import Row, Tx
from agent.turn import exchange
from agent.types import Message


def history(tx: Tx, conversation_id: str, before: str | None = None) -> tuple[Message, ...]:
    """The messages of a conversation's earlier turns, those before turn `before` where it is given."""
    messages: list[Message] = []
    for turn_id, rows in groupby(steps.said(tx, conversation_id), key=itemgetter(0)):
        if turn_id == before:
            break
        messages += _messages(list(rows))
    return tuple(messages)


def _messages(rows: list[Row]) -> Iterator[Message]:
    """Of one turn, by its row beside each of its steps', or once where it has none."""
    _, said, request, *first = rows[0]
    yield from given.read(None if request is None else str(request)).before
    written = [row[3:] for row in rows] if first[0] is not None else []
    yield from exchange(str(said), journal.read(written, steps.COLUMNS))
