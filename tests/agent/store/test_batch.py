"""What becomes of works, each in a transaction of its own or many in one."""

from __future__ import annotations

import asyncio
import gc
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from agent.money.account import Granted, Limit, Refused
from agent.store import sqlite, workers, writer
from agent.store.errors import StoreError
from agent.store.store import Store
from agent.store.tables import hold, worker
from agent.store.work import Claim, Done, Expire, Fence, Finish, Work
from tests.support import books
from tests.support.until import until
from tests.support.works import begin, everything, opened, reserve, settle, step

LIMIT = 10_000


def held(done: Done) -> Granted:
    assert isinstance(done.grant, Granted)
    return done.grant


def kinds(path: str) -> list[tuple[books.Value, books.Value]]:
    return [(row["kind"], row["cost"]) for row in books.table(path, "ledger", "id")]


def balance(path: str) -> tuple[books.Value, books.Value]:
    [row] = [row for row in books.table(path, "counter") if row["budget"] == 1]
    return row["settled"], row["reserved"]


def lapse(store: Store) -> None:
    """Every open hold's lease is over."""
    store.pulse(lambda tx: tx.rows(hold.update().values(lease=0)))


async def take_away(store: Store, turn: str) -> None:
    """Another process declares this one dead, takes its turn over, and this one comes back."""
    store.pulse(lambda tx: tx.rows(worker.update().values(lease_until=0)))
    store.pulse(workers.reap)
    store.pulse(lambda tx: tx.rows(worker.update().values(state="live")))


class TestSettle:
    async def test_once(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        assert balance(path) == (0, 1100)
        for _ in range(3):
            await store.do(Work(settle=settle("a1", "t1", 321)))
        assert kinds(path) == [("attempt", 321)]
        assert balance(path) == (321, 0)
        assert books.table(path, "hold") == []

    async def test_twice_in_one_transaction_is_once(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        twice = Work(settle=settle("a1", "t1", 321))
        await asyncio.gather(store.do(twice), store.do(replace(twice)))
        assert kinds(path) == [("attempt", 321)]
        assert balance(path) == (321, 0)

    async def test_of_what_was_never_held_is_nothing(self, store: Store, path: str) -> None:
        await store.do(Work(settle=settle("a9", "t1", 321)))
        assert kinds(path) == []

    async def test_beyond_the_bound_is_booked_in_full_and_everything_further_refused(
        self, store: Store, path: str
    ) -> None:
        await store.do(opened("t1", "a1", 1100))
        await store.do(Work(settle=settle("a1", "t1", 5000)))
        assert balance(path) == (5000, 0)
        done = await store.do(opened("t2", "a2", 1100))
        assert done.grant == Refused("everything", 1100, 5000, 0, 110)


class TestCounters:
    """A refusal leaves none behind that nothing was ever held in."""

    @staticmethod
    def ask(turn: str, attempt: str, limit: int) -> Work:
        limits = (*everything(limit), Limit(2, turn, "turn", LIMIT))
        return Work(Fence(turn, 1), begin=begin(turn, f"c-{turn}"), reserve=reserve(attempt, turn, limits))

    async def test_of_a_turn_whose_first_hold_is_refused(self, store: Store, path: str) -> None:
        assert isinstance((await store.do(self.ask("t1", "a1", 1))).grant, Refused)
        assert books.table(path, "counter") == []
        held(await store.do(self.ask("t2", "a2", LIMIT)))
        assert isinstance((await store.do(self.ask("t3", "a3", 1))).grant, Refused)
        assert [row["subject"] for row in books.table(path, "counter")] == ["", "t2"]
        again = Work(Fence("t3", 1), reserve=self.ask("t3", "a4", LIMIT).reserve)
        held(await store.do(again))
        assert [row["subject"] for row in books.table(path, "counter")] == ["", "t2", "t3"]
        assert books.replay(path) == []

    async def test_one_that_another_work_of_the_transaction_uses_stays(self, store: Store, path: str) -> None:
        done = await asyncio.gather(store.do(self.ask("t1", "a1", 1)), store.do(self.ask("t2", "a2", LIMIT)))
        assert [isinstance(one.grant, Granted) for one in done] == [False, True]
        assert [row["subject"] for row in books.table(path, "counter")] == ["", "t2"]
        assert books.replay(path) == []


class TestTokens:
    """A budget that counts tokens: held at input and cap, charged what was counted."""

    LIMITS = (*everything(LIMIT), Limit(3, "", "tokens of all", 170, "tokens"))

    async def test_cap_is_what_fits_in_the_tighter_unit(self, store: Store, path: str) -> None:
        grant = held(await store.do(Work(reserve=reserve("a1", "t1", self.LIMITS))))
        assert (grant.cap, grant.bound) == (70, 800)
        assert [(row["budget"], row["reserved"]) for row in books.table(path, "counter")] == [(1, 800), (3, 170)]
        done = await store.do(Work(reserve=reserve("a2", "t1", self.LIMITS)))
        assert done.grant == Refused("tokens of all", 170, 0, 170, 101, "tokens")

    async def test_is_charged_what_was_counted(self, store: Store, path: str) -> None:
        await store.do(Work(reserve=reserve("a1", "t1", self.LIMITS)))
        await store.do(Work(settle=settle("a1", "t1", 321)))
        assert [(row["settled"], row["reserved"]) for row in books.table(path, "counter")] == [(321, 0), (45, 0)]
        assert books.replay(path) == []

    async def test_expiry_and_correction(self, store: Store, path: str) -> None:
        await store.do(Work(reserve=reserve("a1", "t1", self.LIMITS)))
        lapse(store)
        await store.expire()
        assert [row["settled"] for row in books.table(path, "counter")] == [800, 170]
        await store.do(Work(settle=settle("a1", "t1", 321)))
        assert [row["settled"] for row in books.table(path, "counter")] == [321, 45]
        assert books.replay(path) == []


class TestExpiry:
    async def test_is_charged_at_the_bound(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        lapse(store)
        done = await store.expire()
        assert [(a.id, a.cost.nano_usd, a.cost.quality) for a in done.expired] == [("a1", 1100, "unknown")]
        assert kinds(path) == [("expiry", 1100)]
        assert balance(path) == (1100, 0)

    async def test_of_a_lease_that_is_good_is_none(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        assert (await store.expire()).expired == ()
        assert balance(path) == (0, 1100)

    async def test_late_settle_corrects_it(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        lapse(store)
        await store.expire()
        for _ in range(2):
            await store.do(Work(settle=settle("a1", "t1", 321)))
        assert kinds(path) == [("expiry", 1100), ("correction", 321 - 1100)]
        assert balance(path) == (321, 0)
        expiry, correction = books.table(path, "ledger", "id")
        assert correction["corrects"] == expiry["id"]
        assert books.total([expiry, correction], "tokens") == 45

    async def test_two_late_settles_in_one_transaction_correct_once(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        lapse(store)
        await store.expire()
        late = Work(settle=settle("a1", "t1", 321))
        await asyncio.gather(store.do(late), store.do(replace(late)))
        assert kinds(path) == [("expiry", 1100), ("correction", 321 - 1100)]
        assert balance(path) == (321, 0)

    async def test_settle_in_the_same_transaction_comes_first(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        lapse(store)
        done, _ = await asyncio.gather(store.expire(), store.do(Work(settle=settle("a1", "t1", 321))))
        assert done.expired == ()
        assert kinds(path) == [("attempt", 321)]


class TestFence:
    async def test_refuses_the_journal_never_the_settle(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        await take_away(store, "t1")
        stale = Work(
            fence=Fence("t1", 1),
            settle=settle("a1", "t1", 321),
            steps=(step("t1"),),
            reserve=reserve("a2", "t1", LIMIT),
            finish=Finish("answered", "hello"),
        )
        done = await store.do(stale)
        assert done.fenced
        assert done.grant is None
        assert kinds(path) == [("attempt", 321)]
        assert books.table(path, "step") == books.table(path, "hold") == []
        [turn] = books.table(path, "turn")
        assert (turn["state"], turn["epoch"], turn["outcome"], turn["result"]) == ("queued", 2, None, None)

    async def test_claim_raises_the_epoch_once(self, store: Store) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        await take_away(store, "t1")
        assert sorted(await asyncio.gather(store.claim("t1"), store.claim("t1")), key=str) == [3, None]
        assert (await store.do(Work(fence=Fence("t1", 1), steps=(step("t1"),)))).fenced
        assert not (await store.do(Work(fence=Fence("t1", 3), steps=(step("t1"),)))).fenced

    async def test_a_process_declared_dead_claims_nothing(self, store: Store) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        store.pulse(lambda tx: workers.leave(tx, store.worker))
        store.pulse(workers.reap)
        assert await store.claim("t1") is None

    async def test_a_turn_that_is_over_is_fenced(self, store: Store) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        end = Work(fence=Fence("t1", 1), finish=Finish("answered", "hello"))
        assert not (await store.do(end)).fenced
        assert (await store.do(end)).fenced


class TestConflict:
    async def test_busy_while_a_turn_is_open(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT, "c1"))
        done = await store.do(
            Work(fence=Fence("t2", 1), begin=begin("t2", "c1", 1), reserve=reserve("a2", "t2", LIMIT))
        )
        assert (done.conflict, done.grant) == ("busy", None)
        assert [row["id"] for row in books.table(path, "turn")] == ["t1"]
        assert balance(path) == (0, 1100)

    async def test_moved_when_another_turn_has_ended_meanwhile(self, store: Store) -> None:
        for number in range(2):
            turn = f"t{number}"
            begun = Work(fence=Fence(turn, 1), begin=begin(turn, "c1", number))
            assert (await store.do(begun)).conflict is None
            await store.do(Work(fence=Fence(turn, 1), finish=Finish("answered", None)))
        assert (await store.do(Work(begin=begin("t3", "c1", 1)))).conflict == "moved"

    async def test_of_two_at_once_one_is_begun(self, store: Store, path: str) -> None:
        await store.do(opened("t0", "a0", LIMIT, "c1"))
        await store.do(Work(fence=Fence("t0", 1), finish=Finish("answered", None)))
        racing = [Work(fence=Fence(f"t{n}", 1), begin=begin(f"t{n}", "c1", 1)) for n in (1, 2, 3)]
        conflicts = [done.conflict for done in await asyncio.gather(*map(store.do, racing))]
        assert sorted(conflicts, key=str) == [None, "busy", "busy"]
        assert len(books.table(path, "turn")) == 2


class TestBudgets:
    async def test_holds_of_one_transaction_see_each_other(self, store: Store, path: str) -> None:
        done = await asyncio.gather(*(store.do(opened(f"t{n}", f"a{n}", 2500, cap=100)) for n in range(4)))
        grants = [d.grant for d in done]
        assert [g.cap if isinstance(g, Granted) else g for g in grants] == [
            100,
            100,
            20,
            Refused("everything", 2500, 0, 2500, 110),
        ]
        assert balance(path) == (0, 2500)
        assert books.replay(path) == []

    async def test_line_of_a_turn_and_of_everything(self, store: Store, path: str) -> None:
        limits = (*everything(LIMIT), Limit(2, "t1", "turn", 600))
        grant = held(await store.do(Work(reserve=reserve("a1", "t1", limits))))
        assert (grant.cap, grant.bound) == (50, 600)
        assert [(row["subject"], row["reserved"]) for row in books.table(path, "counter")] == [("", 600), ("t1", 600)]

    async def test_lowered_limit_is_in_force_at_once(self, store: Store) -> None:
        await store.do(opened("t1", "a1", 2000))
        done = await store.do(opened("t2", "a2", 1000))
        assert done.grant == Refused("everything", 1000, 0, 1100, 110)


async def test_an_orphaned_hold_is_released(store: Store, path: str) -> None:
    waiting = asyncio.ensure_future(store.do(opened("t1", "a1", LIMIT)))
    await asyncio.sleep(0)  # it is handed in
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await store.do(opened("t2", "a2", LIMIT))
    await store.do(opened("t3", "a3", LIMIT))  # after the release, which the first of them may have overtaken
    assert kinds(path) == [("release", 0)]
    assert balance(path) == (0, 2200)
    assert books.replay(path) == []


async def test_a_release_that_fails_is_told_and_tried_again(
    store: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it: it must not end as an exception that was never retrieved."""
    told: list[str] = []  # a log record would keep the exception, and with it the future that it was set in
    monkeypatch.setattr(writer.log, "error", lambda text, *args: told.append(text % args))
    monkeypatch.setattr(writer, "RETRY", 0.01)
    monkeypatch.setattr(sqlite, "DEADLINE", 0.05)
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    done = await store.do(opened("t1", "a1", LIMIT))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store._release(opened("t1", "a1", LIMIT), held(done))
        await until(lambda: bool(told))
        other.execute("ROLLBACK")
    await until(lambda: not store.settles_waiting)
    gc.collect()
    assert unheard == []
    assert "settle of attempt a1 failed" in told[0]
    assert kinds(path) == [("release", 0)]


async def test_locks_are_taken_in_one_order(store: Store) -> None:
    """The same for every process, whatever the order of the works: or two of them wait for each other."""
    await store.do(opened("t2", "a2", LIMIT, "c2"))
    await take_away(store, "t2")
    await store.do(opened("t1", "a1", LIMIT, "c1"))
    statements: list[str] = []
    store._write.set_trace_callback(lambda text: statements.append(" ".join(text.split())))
    ends = Work(Fence("t1", 1), settle=settle("a1", "t1", 321), steps=(step("t1"),), finish=Finish("answered", None))
    new = [opened(f"t{n}", f"a{n}", LIMIT, f"c{n}") for n in (9, 8)]
    subjects = [
        replace(work, reserve=reserve(f"a{n}", f"t{n}", (*everything(LIMIT), Limit(2, f"t{n}", "turn", LIMIT))))
        for n, work in zip((9, 8), new, strict=True)
    ]
    await asyncio.gather(store.do(ends), *map(store.do, subjects), store.do(Work(claim=Claim("t2"), expire=Expire())))
    store._write.set_trace_callback(None)
    patterns = [
        r"INSERT INTO counter .*'t8'",
        r"INSERT INTO counter .*'t9'",
        r"INSERT INTO conversation .*'c8'",
        r"INSERT INTO turn .*'t8'",
        r"INSERT INTO conversation .*'c9'",
        r"INSERT INTO turn .*'t9'",
        r"SELECT turn.id FROM turn .*'t1'",
        r"UPDATE turn .*'t2'",
        r"DELETE FROM hold .*'a1'",
        r"SELECT hold.id",
        r"SELECT counter.id",
        r"INSERT INTO step",
        r"INSERT INTO ledger ",
        r"INSERT INTO ledger_total",
    ]
    places = [next(n for n, said in enumerate(statements) if re.match(pattern, said)) for pattern in patterns]
    assert places == sorted(places)


async def test_a_bad_work_does_not_harm_the_others_of_its_transaction(store: Store, path: str) -> None:
    await store.do(opened("t0", "a0", LIMIT * 10))
    works = [opened(f"t{n}", f"a{n}", LIMIT * 10) for n in range(1, 10)]
    bad = Work(fence=Fence("t0", 1), steps=(step("t0"), step("t0")))  # the same step twice
    results = await asyncio.gather(*map(store.do, [*works[:4], bad, *works[4:]]), return_exceptions=True)
    failed = results.pop(4)
    assert isinstance(failed, Exception)
    assert "UNIQUE" in str(failed)
    assert [held(done).bound for done in results if isinstance(done, Done)] == [1100] * 9
    assert balance(path) == (0, 11_000)
    assert books.table(path, "step") == []
    assert books.replay(path) == []


async def test_a_bad_journal_does_not_hold_up_its_settle(store: Store, path: str) -> None:
    """The rows that belong to a settle can't be written, ever: the turn hears of it, and the money is booked."""
    await store.do(opened("t1", "a1", LIMIT))
    bad = Work(fence=Fence("t1", 1), settle=settle("a1", "t1", 321), steps=(step("t1"), step("t1")))
    with pytest.raises(Exception, match="UNIQUE"):
        await asyncio.wait_for(store.do(bad), 5)
    await until(lambda: not store.settles_waiting)
    assert kinds(path) == [("attempt", 321)]
    assert balance(path) == (321, 0)
    assert books.chain_faults(path) == [], "the rows of the transaction that failed are no part of the chain"


async def test_what_was_made_in_a_transaction_that_failed_is_made_again(store: Store, path: str) -> None:
    """Its counters, for one: they are rolled back with it."""
    ask = reserve("a1", "t1", (*everything(LIMIT), Limit(2, "t1", "turn", LIMIT)))
    begun = Work(fence=Fence("t1", 1), begin=begin("t1"), reserve=ask)
    with pytest.raises(StoreError, match="UNIQUE"):
        await store.do(replace(begun, steps=(step("t1"), step("t1"))))
    assert books.table(path, "counter") == books.table(path, "turn") == []
    assert held(await store.do(begun)).bound == 1100
