"""The journal: what a model answered and what its tools did, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from sqlalchemy import bindparam, insert, select, update

from agent.store.tables import step, turn
from agent.store.tx import Row, Tx
from agent.store.work import StepRow

COLUMNS = tuple(column.name for column in step.columns)
_VALUES = attrgetter(*COLUMNS)

_ADD = insert(step).values({name: bindparam(name) for name in COLUMNS})
_ANSWER = (
    update(step)
    .where(step.c.turn == bindparam("turn_id"), step.c.key == bindparam("step_key"), step.c.state == "started")
    .values(
        state=bindparam("new_state"),
        answer=bindparam("new_answer"),
        answered_at=bindparam("new_answered_at"),
        epoch=bindparam("new_epoch"),
    )
)
_SAID = (
    select(turn.c.id, turn.c.input, turn.c.request, *step.columns)
    .outerjoin(step, step.c.turn == turn.c.id)
    .where(turn.c.conversation == bindparam("conversation"), turn.c.input.is_not(None))
    .order_by(turn.c.ordinal, step.c.position)
)
_OF_TURN = select(step).where(step.c.turn == bindparam("turn_id")).order_by(step.c.position)


def write(tx: Tx, rows: Sequence[StepRow]) -> None:
    """Adds rows and answers started ones. A step is started, then answered, once each; nothing is overwritten."""
    for row in rows:
        if row.answers:
            tx.rows(
                _ANSWER,
                {
                    "turn_id": row.turn,
                    "step_key": row.key,
                    "new_state": row.state,
                    "new_answer": row.answer,
                    "new_answered_at": row.answered_at,
                    "new_epoch": row.epoch,
                },
            )
    tx.each(_ADD, [dict(zip(COLUMNS, _VALUES(row), strict=True)) for row in rows if not row.answers])


def read(tx: Tx, turn_id: str) -> list[Row]:
    """The journal of a turn, each row in the order of `COLUMNS`."""
    return tx.rows(_OF_TURN, {"turn_id": turn_id})


def said(tx: Tx, conversation_id: str) -> list[Row]:
    """All turns of a conversation that were not erased: id, input and request of the turn, then a step in the order of
    `COLUMNS`, all None where the turn has none."""
    return tx.rows(_SAID, {"conversation": conversation_id})
