"""Holds whose lease is over: nobody knows what became of their calls, so each is charged at its bound."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from agent.store import accounts, endings
from agent.store.accounts import HoldRow, Unreadable
from agent.store.endings import Counters, LedgerRow
from agent.store.tx import Tx
from telemetry.attempt import Attempt
from telemetry.pricing import Cost

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Holds that expire in one transaction at most."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A hold whose lease is over, and the attempt that its ledger row will tell of."""

    hold: HoldRow
    attempt: Attempt


class Expiry:
    """Ends lapsed holds. One that says nothing that could be booked stays, is told of once, and does not keep the
    others from ending."""

    def __init__(self) -> None:
        self._unreadable: set[str] = set()

    def lapsed(self, tx: Tx, now: int) -> list[Lapsed]:
        """Locks what can be ended."""
        found = []
        for row in accounts.lapsed(tx, now, AT_ONCE + len(self._unreadable)):
            try:
                hold = accounts.read_hold(row)
                found.append(Lapsed(hold, _attempt(hold, now)))
            except Unreadable as error:
                self._tell(str(row[0]), error)
        return found

    def end(self, tx: Tx, lapsed: Sequence[Lapsed], counters: Counters) -> tuple[tuple[Attempt, ...], list[LedgerRow]]:
        """The attempts that have ended, and their rows."""
        ended = [one for one in lapsed if self._has_counters(one.hold, counters)]
        accounts.drop_holds(tx, [one.hold.attempt for one in ended])
        rows = [endings.end(one.attempt, "expiry", one.hold, one.hold.tokens, counters) for one in ended]
        return tuple(one.attempt for one in ended), rows

    def _has_counters(self, hold: HoldRow, counters: Counters) -> bool:
        missing = [line.counter for line in hold.lines if line.counter not in counters]
        if missing:
            self._tell(hold.attempt, f"there is no counter {missing[0]}")
        return not missing

    def _tell(self, attempt: str, why: object) -> None:
        if attempt not in self._unreadable:
            log.error("hold of attempt %s can't be ended, what it holds stays held: %s", attempt, why)
            self._unreadable.add(attempt)


def _attempt(hold: HoldRow, now: int) -> Attempt:
    call, number, trace_id = accounts.read_dims(hold.dims)
    return Attempt(
        id=hold.attempt,
        call=call,
        number=number,
        started=hold.at,
        ended=now,
        duration=(now - hold.at) / 1e6,
        held_nano_usd=hold.bound,
        cost=Cost(hold.bound, "unknown", "bound"),
        error_type="expired",
        trace_id=trace_id,
    )
