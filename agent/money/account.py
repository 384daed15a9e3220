"""The decisions of the account: what may be held, what is charged. Pure; the caller has locked the counters.

The invariant, at every admission and for the limit of the line: `settled + reserved <= limit`.
Every counter counts one unit: nano-dollars, or tokens of input and output together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, get_args

NANO = 10**9

Unit = Literal["usd", "tokens"]
"""What a counter counts. `usd` is counted in nano-dollars."""

UNITS: frozenset[Unit] = frozenset(get_args(Unit))

Amounts: TypeAlias = Mapping[Unit, int]
"""What an attempt takes, in each unit."""


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
    unit: Unit = "usd"


EVERYTHING, TURN = 1, 2
"""Ids of the two budgets that are counted from the first row on, so that no limit ever begins with a gap."""


def turn_limit(turn_id: str, usd: Decimal) -> Limit:
    return Limit(TURN, turn_id, "turn", int(usd * NANO))


@dataclass(frozen=True, slots=True)
class Price:
    """Upper bound of an attempt: `base` for the whole input, `unit` for each token of output. In tokens they are the
    input's own number and 1."""

    base: int
    unit: int

    def bound(self, cap: int) -> int:
        return self.base + cap * self.unit


@dataclass(frozen=True, slots=True)
class Line:
    """What a hold took from one counter. `limit` is the one in force at that moment."""

    counter: int
    asked: int
    seq: int
    limit: int | None
    unit: Unit = "usd"


@dataclass(frozen=True, slots=True)
class Granted:
    """`cap` output tokens may be asked for; `bound` nano-dollars are held. `at` (Unix microseconds) picks the windows
    for good."""

    cap: int
    bound: int
    at: int = 0
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Even the minimal answer does not fit: `charged + held + asked > limit`, all in `unit`."""

    budget: str
    limit: int
    charged: int
    held: int
    asked: int
    unit: Unit = "usd"

    def detail(self) -> dict[str, str | int]:
        """The numbers, for whoever is told of them."""
        return asdict(self)


def reserve(
    limits: Sequence[Limit], counters: Sequence[Counter], prices: Mapping[Unit, Price], cap: int, minimum: int
) -> Granted | Refused:
    """All lines or none: the cap is lowered to what still fits in the tightest, down to `minimum` output tokens.

    Two limits on one counter are one line: what they count is the same.
    """
    for line, counter in zip(limits, counters, strict=True):
        if line.limit is None:
            continue
        price = prices[line.unit]
        least = price.bound(minimum)
        room = line.limit - counter.settled - counter.reserved
        if room < least:
            return Refused(line.name, line.limit, counter.settled, counter.reserved, least, line.unit)
        if price.unit:
            cap = min(cap, (room - price.base) // price.unit)
    return Granted(cap, prices["usd"].bound(cap), lines=_take(limits, counters, prices, cap))


def _take(
    limits: Sequence[Limit], counters: Sequence[Counter], prices: Mapping[Unit, Price], cap: int
) -> tuple[Line, ...]:
    tightest: dict[int, Limit] = {}
    for limit, counter in zip(limits, counters, strict=True):
        known = tightest.get(counter.id)
        if known is None or known.limit is None or (limit.limit is not None and limit.limit < known.limit):
            tightest[counter.id] = limit
    lines = []
    for counter in {counter.id: counter for counter in counters}.values():
        limit = tightest[counter.id]
        asked = prices[limit.unit].bound(cap)
        lines.append(Line(counter.id, asked, counter.move(reserved=asked), limit.limit, limit.unit))
    return tuple(lines)


def end(lines: Sequence[Line], counters: Mapping[int, Counter], amounts: Amounts) -> list[int]:
    """Ends a hold: what was reserved goes, `amounts` are charged. The serial numbers of the changes, in line order."""
    return [counters[line.counter].move(settled=amounts[line.unit], reserved=-line.asked) for line in lines]


def correct(lines: Sequence[Line], counters: Mapping[int, Counter], differences: Amounts) -> list[int]:
    """Charges the differences between an attempt's true totals and what is booked."""
    return [counters[line.counter].move(settled=differences[line.unit]) for line in lines]
