"""The decisions of the account: what may be held, what is charged. Pure; the caller has locked the counters.

The invariant, at every admission and for the limit of the line: `settled + reserved <= limit`.
Money is an integer of nano-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

NANO = 10**9


@dataclass(slots=True)
class Counter:
    """A locked counter row: the running sum of the ledger and of the open holds of one budget, subject and window."""

    id: int
    settled: int
    reserved: int
    seq: int

    def move(self, *, settled: int = 0, reserved: int = 0) -> int:
        """Changes the sums and returns the change's place in the counter's gapless serial order."""
        self.settled += settled
        self.reserved += reserved
        self.seq += 1
        return self.seq


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of a reservation: a counter, and the limit that this process's configuration puts on it (None: none)."""

    budget: int
    subject: str
    name: str
    limit: int | None


EVERYTHING, TURN = 1, 2
"""Ids of the two budgets that are counted from the first row on, so that no limit ever begins with a gap."""


def turn_limit(turn_id: str, usd: Decimal) -> Limit:
    return Limit(TURN, turn_id, "turn", int(usd * NANO))


@dataclass(frozen=True, slots=True)
class Price:
    """Upper bound of an attempt: `base` for the whole input, `unit` for each token of output."""

    base: int
    unit: int


@dataclass(frozen=True, slots=True)
class Line:
    """What a hold took from one counter. `limit` is the one in force at that moment."""

    counter: int
    asked: int
    seq: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Granted:
    """`cap` output tokens may be asked for; `bound` is held. `at` (Unix microseconds) picks the windows for good."""

    cap: int
    bound: int
    at: int = 0
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Even the minimal answer does not fit: `charged + held + asked > limit`, all nano-dollars."""

    budget: str
    limit: int
    charged: int
    held: int
    asked: int


def reserve(
    limits: Sequence[Limit], counters: Sequence[Counter], price: Price, cap: int, minimum: int
) -> Granted | Refused:
    """All lines or none: the cap is lowered to what still fits in the tightest, down to `minimum` output tokens.

    Two limits on one counter are one line: what they count is the same money.
    """
    least = price.base + minimum * price.unit
    for line, counter in zip(limits, counters, strict=True):
        if line.limit is None:
            continue
        room = line.limit - counter.settled - counter.reserved
        if room < least:
            return Refused(line.name, line.limit, counter.settled, counter.reserved, least)
        if price.unit:
            cap = min(cap, (room - price.base) // price.unit)
    bound = price.base + cap * price.unit
    tightest = _tightest(limits, counters)
    lines = tuple(
        Line(counter.id, bound, counter.move(reserved=bound), tightest[counter.id])
        for counter in {counter.id: counter for counter in counters}.values()
    )
    return Granted(cap, bound, lines=lines)


def _tightest(limits: Sequence[Limit], counters: Sequence[Counter]) -> dict[int, int | None]:
    found: dict[int, int | None] = {}
    for line, counter in zip(limits, counters, strict=True):
        known = found.get(counter.id)
        found[counter.id] = line.limit if known is None else min(known, known if line.limit is None else line.limit)
    return found


def end(lines: Sequence[Line], counters: Mapping[int, Counter], amount: int) -> list[int]:
    """Ends a hold: what was reserved goes, `amount` is charged. The serial numbers of the changes, in line order."""
    return [counters[line.counter].move(settled=amount, reserved=-line.asked) for line in lines]


def correct(lines: Sequence[Line], counters: Mapping[int, Counter], difference: int) -> list[int]:
    """Charges the difference between an attempt's true total and what is booked."""
    return [counters[line.counter].move(settled=difference) for line in lines]
