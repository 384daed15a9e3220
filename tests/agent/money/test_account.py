from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from agent.money import account
from agent.money.account import Counter, Granted, Limit, Price, Refused, turn_limit

BUDGET = Limit(1, "", "everything", 1000)


def counter(settled: int = 0, reserved: int = 0, number: int = 1) -> Counter:
    return Counter(number, settled, reserved, 0)


def reserve(
    room: int, price: Price, cap: int, minimum: int, *, counters: Sequence[Counter] | None = None
) -> Granted | Refused:
    return account.reserve([replace(BUDGET, limit=room)], counters or [counter()], {"usd": price}, cap, minimum)


class TestReserve:
    @pytest.mark.parametrize(
        ("room", "cap"),
        [
            (599, None),  # one short of the minimal answer
            (600, 50),  # exactly the minimal answer
            (609, 50),  # nine more: not one more token
            (610, 51),
            (1099, 99),
            (1100, 100),  # exactly what is wanted
            (99_999, 100),  # never more than that
            (-5, None),  # a limit that was lowered below what is spent
        ],
    )
    def test_cap_is_lowered_to_what_fits(self, room: int, cap: int | None) -> None:
        granted = reserve(room, Price(100, 10), cap=100, minimum=50)
        if cap is None:
            assert granted == Refused("everything", room, 0, 0, 600)
        else:
            assert isinstance(granted, Granted)
            assert (granted.cap, granted.bound) == (cap, 100 + 10 * cap)

    def test_what_is_charged_and_held_is_no_room(self) -> None:
        assert reserve(1000, Price(100, 10), 100, 50, counters=[counter(300, 101)]) == Refused(
            "everything", 1000, 300, 101, 600
        )

    def test_refusal_moves_nothing(self) -> None:
        first, second = counter(number=1), counter(settled=1, number=2)
        limits = [Limit(1, "", "wide", 10_000), Limit(2, "t", "turn", 100)]
        refused = account.reserve(limits, [first, second], {"usd": Price(100, 0)}, 1, 1)
        assert refused == Refused("turn", 100, 1, 0, 100)
        assert (first, second) == (counter(number=1), counter(settled=1, number=2))

    def test_the_tightest_line_sets_the_cap_of_all(self) -> None:
        first, second, third = (counter(number=n) for n in (1, 2, 3))
        limits = [Limit(1, "", "a", 500), Limit(2, "", "b", 300), Limit(3, "", "c", None)]
        granted = account.reserve(limits, [first, second, third], {"usd": Price(100, 10)}, 100, 1)
        assert isinstance(granted, Granted)
        assert granted.cap == 20
        assert [c.reserved for c in (first, second, third)] == [300, 300, 300]
        assert [(line.counter, line.asked, line.seq, line.limit) for line in granted.lines] == [
            (1, 300, 1, 500),
            (2, 300, 1, 300),
            (3, 300, 1, None),
        ]

    def test_without_a_limit_there_is_always_room(self) -> None:
        granted = account.reserve([replace(BUDGET, limit=None)], [counter(10**15)], {"usd": Price(100, 10)}, 100, 50)
        assert isinstance(granted, Granted)
        assert granted.cap == 100

    def test_free_output_keeps_the_cap(self) -> None:
        granted = reserve(100, Price(100, 0), cap=77, minimum=5)
        assert isinstance(granted, Granted)
        assert (granted.cap, granted.bound) == (77, 100)

    def test_two_limits_on_one_counter_hold_once(self) -> None:
        """Two budgets of the same scope and window count the same money, in one counter."""
        shared = counter()
        limits = [Limit(1, "", "company", 500), Limit(1, "", "trial", 300)]
        granted = account.reserve(limits, [shared, shared], {"usd": Price(100, 10)}, 100, 1)
        assert isinstance(granted, Granted)
        assert (shared.reserved, shared.seq) == (300, 1)
        assert [line.limit for line in granted.lines] == [300]
        account.end(granted.lines, {1: shared}, {"usd": 250})
        assert (shared.settled, shared.reserved) == (250, 0)

    @given(
        room=st.integers(-(10**6), 10**6),
        base=st.integers(0, 10**5),
        unit=st.integers(0, 10**4),
        cap=st.integers(1, 10**4),
        data=st.data(),
    )
    def test_as_much_as_fits_and_no_more(self, room: int, base: int, unit: int, cap: int, data: st.DataObject) -> None:
        minimum = data.draw(st.integers(1, cap))
        granted = reserve(room, Price(base, unit), cap, minimum)
        if isinstance(granted, Refused):
            assert base + minimum * unit > room
            return
        assert minimum <= granted.cap <= cap
        assert granted.bound == base + granted.cap * unit <= room
        assert granted.cap == cap or granted.bound + unit > room


def test_turn_limit_is_in_nano_dollars() -> None:
    from decimal import Decimal

    assert turn_limit("t1", Decimal("0.1")) == Limit(2, "t1", "turn", 100_000_000)


class Account(RuleBasedStateMachine):
    """Any order of holds, ends and corrections on three counters, against sums kept apart."""

    holds: Bundle[Granted] = Bundle("holds")
    expired: Bundle[tuple[Granted, int]] = Bundle("expired")

    @initialize(limits=st.tuples(*[st.one_of(st.none(), st.integers(0, 5000)) for _ in range(3)]))
    def open(self, limits: tuple[int | None, ...]) -> None:
        self.limits = [Limit(n, "", f"b{n}", limit) for n, limit in enumerate(limits)]
        self.counters = {n: Counter(n, 0, 0, 0) for n in range(3)}
        self.settled = dict.fromkeys(range(3), 0)
        self.held: list[Granted] = []
        self.moves = dict.fromkeys(range(3), 0)

    @rule(
        target=holds,
        base=st.integers(0, 2000),
        unit=st.integers(0, 40),
        caps=st.tuples(st.integers(1, 60), st.integers(1, 60)),
        lines=st.sets(st.integers(0, 2), min_size=1),
    )
    def hold(self, base: int, unit: int, caps: tuple[int, int], lines: set[int]) -> Granted:
        chosen, minimum, cap = sorted(lines), min(caps), max(caps)
        before = {n: replace(c) for n, c in self.counters.items()}
        limits = [self.limits[n] for n in chosen]
        granted = account.reserve(limits, [self.counters[n] for n in chosen], {"usd": Price(base, unit)}, cap, minimum)
        if isinstance(granted, Refused):
            assert self.counters == before
            assert granted.charged + granted.held + granted.asked > granted.limit
            return Granted(0, 0)
        for n in chosen:
            limit, c = self.limits[n].limit, self.counters[n]
            assert limit is None or c.settled + c.reserved <= limit, "overspent at an admission"
            self.moves[n] += 1
        self.held.append(granted)
        return granted

    @rule(granted=consumes(holds), share=st.integers(0, 100))
    def settle(self, granted: Granted, share: int) -> None:
        self._end(granted, granted.bound * share // 100)

    @rule(target=expired, granted=consumes(holds))
    def expire(self, granted: Granted) -> tuple[Granted, int]:
        self._end(granted, granted.bound)
        return granted, granted.bound

    @rule(late=consumes(expired), share=st.integers(0, 100))
    def settle_late(self, late: tuple[Granted, int], share: int) -> None:
        granted, booked = late
        difference = granted.bound * share // 100 - booked
        account.correct(granted.lines, self.counters, {"usd": difference})
        self._book(granted, difference)

    def _end(self, granted: Granted, amount: int) -> None:
        account.end(granted.lines, self.counters, {"usd": amount})
        self._book(granted, amount)
        if granted in self.held:
            self.held.remove(granted)

    def _book(self, granted: Granted, amount: int) -> None:
        for line in granted.lines:
            self.settled[line.counter] += amount
            self.moves[line.counter] += 1

    @invariant()
    def counters_are_the_sums(self) -> None:
        for n, c in getattr(self, "counters", {}).items():
            held = sum(line.asked for granted in self.held for line in granted.lines if line.counter == n)
            assert (c.settled, c.reserved, c.seq) == (self.settled[n], held, self.moves[n])
            limit = self.limits[n].limit
            assert limit is None or c.settled + c.reserved <= limit, "costs within their bounds overspend nothing"


TestAccount = Account.TestCase
TestAccount.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
