"""Turns that change hands: their deadlines, when they are tried again, what they came to."""

from __future__ import annotations

import asyncio

import pytest

from agent.store import turns, workers
from agent.store.store import Store
from agent.store.tables import worker
from agent.store.tx import SqliteTx
from agent.store.work import Fence, Finish, StepRow, Work
from tests.support import books
from tests.support.works import begin, opened, settle, step

SECOND = 10**6
LEFT = 60 * SECOND
"""What `begin` gives a turn."""


class Clock:
    """The store's clock, as a test sets it."""

    now = 1_800_000_000 * SECOND


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(SqliteTx, "now", lambda _: clock.now)
    return clock


def turn(path: str) -> dict[str, books.Value]:
    [row] = books.table(path, "turn")
    return row


def left(path: str, clock: Clock) -> int:
    return books.number(turn(path)["deadline_at"]) - clock.now


def die(store: Store) -> None:
    """The process is declared dead, and another one is there."""
    store.pulse(lambda tx: tx.rows(worker.update().values(state="dead")))
    store.pulse(workers.reap)
    store.pulse(lambda tx: tx.rows(worker.update().values(state="live")))


def at(key: str, place: int, started: int, answered: int | None) -> StepRow:
    kind, state = ("tool", "started") if answered is None else ("model", "answered")
    return StepRow("t1", key, place, 1, kind, state, None if answered is None else "{}", started, answered)  # type: ignore[arg-type]


class TestDeadline:
    """It stands still while nobody runs the turn."""

    async def test_before_the_first_step(self, store: Store, path: str, clock: Clock) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        die(store)
        clock.now += 3600 * SECOND
        assert await store.claim("t1") == 3
        assert left(path, clock) == LEFT

    async def test_every_time(self, store: Store, path: str, clock: Clock) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        epoch, start = 1, clock.now
        for n in range(1, 4):
            clock.now += 2 * SECOND
            await store.do(Work(Fence("t1", epoch), steps=(at(f"m{n}", n, clock.now - SECOND, clock.now),)))
            clock.now += 3600 * SECOND
            die(store)
            claimed = await store.claim("t1")
            assert claimed
            epoch = claimed
            assert left(path, clock) == LEFT - n * 2 * SECOND
        assert clock.now - start > LEFT

    async def test_where_the_last_step_has_no_answer(self, store: Store, path: str, clock: Clock) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        clock.now += 5 * SECOND
        steps = (at("m0", 0, clock.now - SECOND, clock.now), at("m0.t0", 1, clock.now, None))
        await store.do(Work(Fence("t1", 1), steps=steps))
        clock.now += 3600 * SECOND
        die(store)
        await store.claim("t1")
        assert left(path, clock) == LEFT - 5 * SECOND

    async def test_one_that_died_again_without_a_step(self, store: Store, path: str, clock: Clock) -> None:
        """The time before the first take-over is not given twice."""
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        for _ in range(2):
            die(store)
            clock.now += 3600 * SECOND
            await store.claim("t1")
            assert left(path, clock) == LEFT


class TestBackOff:
    async def test_where_a_living_process_gave_up(self, store: Store, clock: Clock, path: str) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        waits = []
        for _ in range(6):
            store.pulse(lambda tx: workers.let_go(tx, store.worker, ()))
            waits.append((books.number(turn(path)["due_at"]) - clock.now) // SECOND)
            assert await store.claim("t1")
        assert waits == [0, 30, 60, 120, 240, 240]

    async def test_it_is_nobodys_until_then(self, store: Store, clock: Clock) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        die(store)
        await store.claim("t1")
        store.pulse(lambda tx: workers.let_go(tx, store.worker, ()))
        clock.now += workers.RESEND - 1
        assert store.look(lambda tx: turns.queued(tx, tx.now())) == []
        clock.now += 1
        assert store.look(lambda tx: turns.queued(tx, tx.now())) == ["t1"]

    async def test_not_where_its_process_died(self, store: Store, clock: Clock) -> None:
        await store.do(Work(Fence("t1", 1), begin=begin("t1")))
        for _ in range(3):
            die(store)
            assert store.look(lambda tx: turns.queued(tx, tx.now())) == ["t1"]
            await store.claim("t1")


class TestEnd:
    async def test_what_it_came_to(self, store: Store) -> None:
        await store.do(opened("t1", "a1", None))
        end = Finish("refused_budget", None, "over the limit – by far", {"limit": 5, "asked": [1, None]})
        await store.do(Work(Fence("t1", 1), finish=end))
        row = await store.read(lambda tx: turns.read_turn(tx, "t1"))
        assert row
        assert turns.result_of(row) == turns.Result(None, end.reason, end.detail)

    async def test_an_open_turn_has_come_to_nothing(self, store: Store) -> None:
        await store.do(opened("t1", "a1", None))
        row = await store.read(lambda tx: turns.read_turn(tx, "t1"))
        assert row
        assert turns.result_of(row) == turns.Result()

    async def test_two_in_one_transaction(self, store: Store, path: str) -> None:
        """The second finds the turn over: only its settle counts."""
        await store.do(opened("t1", "a1", None))
        fence = Fence("t1", 1)
        first = Work(fence, finish=Finish("answered", "the answer"))
        second = Work(fence, settle=settle("a1", "t1", 321), steps=(step("t1"),), finish=Finish("cancelled", None))
        done = await asyncio.gather(store.do(first), store.do(second))
        assert [one.fenced for one in done] == [False, True]
        assert turn(path)["outcome"] == "answered"
        assert books.table(path, "step") == []
        assert books.total(books.table(path, "ledger"), "cost") == 321

    async def test_begun_and_ended_in_one_transaction_it_is_over(self, store: Store, path: str) -> None:
        fence = Fence("t1", 1)
        whole = Work(fence, begin=begin("t1"), finish=Finish("answered", "the answer"))
        done = await asyncio.gather(store.do(whole), store.do(Work(fence, steps=(step("t1"),))))
        assert [one.fenced for one in done] == [False, True]
        assert books.table(path, "step") == []
