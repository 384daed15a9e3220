"""The ends of holds: what moves in their counters, and the rows that the ledger gets for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from agent.money import account
from agent.money.account import Counter
from agent.store import ledger
from agent.store.accounts import HoldRow
from agent.store.ledger import Booked
from agent.store.tx import Value
from agent.store.work import Settle
from telemetry.attempt import Attempt

Counters: TypeAlias = Mapping[int, Counter]
LedgerRow: TypeAlias = dict[str, Value]


def settle(ended: Settle, hold: HoldRow | None, rows: Sequence[Booked], counters: Counters) -> list[LedgerRow]:
    """`rows`: what the ledger has of an attempt that has no hold any more."""
    if hold is None:
        return _correction(ended.attempt, rows, counters)
    return [end(ended.attempt, ended.kind, hold, ledger.counted(ended.attempt.usage), counters)]


def end(attempt: Attempt, kind: str, hold: HoldRow, tokens: int, counters: Counters) -> LedgerRow:
    """Charges an attempt to the counters of its hold. The row that says so."""
    seqs = account.end(hold.lines, counters, {"usd": attempt.cost.nano_usd, "tokens": tokens})
    charges = ledger.charges(hold.lines, seqs)
    return ledger.row(attempt, kind=kind, at=hold.at, tokens=tokens, line_charges=charges)


def _correction(attempt: Attempt, rows: Sequence[Booked], counters: Counters) -> list[LedgerRow]:
    """A settle that comes after its hold expired states the true total; said again, it changes nothing."""
    if [row.kind for row in rows] != ["expiry"]:
        return []
    expiry = rows[0]
    lines = expiry.lines()
    cost, tokens = attempt.cost.nano_usd - expiry.cost, ledger.counted(attempt.usage) - expiry.tokens
    charges = ledger.charges(lines, account.correct(lines, counters, {"usd": cost, "tokens": tokens}))
    row = ledger.row(attempt, kind="correction", at=expiry.at, tokens=tokens, line_charges=charges)
    return [row | {"corrects": expiry.id, "cost": cost}]
