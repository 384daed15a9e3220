"""Which turns are accepted: by idempotency key, by pace, by what is open in the conversation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.money.account import Limit
from agent.store.beginning import KEY_LIFE, MINUTE
from agent.store.store import Store
from agent.store.tx import SqliteTx
from agent.store.work import Begin, Done, Fence, Finish, Key, Known, Pace, Work
from agent.types import Caller
from tests.support import books
from tests.support.works import begin, everything, reserve

TABLES = ("conversation", "turn", "turn_key", "counter", "hold", "step")
ANNA, BEN = Caller("acme", key="anna"), Caller("acme", key="ben")


class Clock:
    """The store's clock, as a test sets it."""

    now = 1_800_000_000 * 10**6


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(SqliteTx, "now", lambda _: clock.now)
    return clock


def ask(
    turn: str, caller: Caller = ANNA, *, key: str | None = None, pace: tuple[int | None, int | None] | None = None
) -> Begin:
    return replace(
        begin(turn, f"c-{turn}"),
        caller=caller,
        key=Key(key, f"digest of {turn}") if key else None,
        pace=Pace(*pace) if pace else None,
    )


async def do(store: Store, ask: Begin) -> Done:
    limits = (*everything(10**9), Limit(2, ask.turn, "turn", 10**9))
    fence = Fence(ask.turn, 1)
    return await store.do(Work(fence, begin=ask, reserve=reserve(f"a-{ask.turn}", ask.turn, limits)))


async def end(store: Store, turn: str) -> None:
    await store.do(Work(Fence(turn, 1), finish=Finish("answered", None)))


def contents(path: str) -> dict[str, list[dict[str, books.Value]]]:
    return {name: books.table(path, name) for name in TABLES}


@pytest.mark.usefixtures("clock")
class TestKey:
    async def test_begins_one_turn(self, store: Store, path: str) -> None:
        assert (await do(store, ask("t1", key="k"))).conflict is None
        before = contents(path)
        for _ in range(2):
            again = await do(store, ask("t2", key="k"))
            assert (again.conflict, again.known) == ("known", Known("t1", "digest of t1"))
        assert contents(path) == before, "nothing of it stays"

    async def test_even_of_two_at_once(self, store: Store, path: str) -> None:
        done = await asyncio.gather(*(do(store, ask(f"t{n}", key="k")) for n in range(3)))
        assert [one.known for one in done] == [None, Known("t0", "digest of t0"), Known("t0", "digest of t0")]
        assert [row["id"] for row in books.table(path, "turn")] == ["t0"]

    async def test_is_one_callers_own(self, store: Store) -> None:
        callers = [ANNA, BEN, replace(ANNA, tenant="other"), Caller("acme"), Caller("other")]
        for n, caller in enumerate(callers):
            assert (await do(store, ask(f"t{n}", caller, key="k"))).conflict is None
        assert (await do(store, ask("t9", Caller("acme"), key="k"))).known == Known("t3", "digest of t3")

    async def test_after_its_life_it_begins_another(self, store: Store, clock: Clock) -> None:
        await do(store, ask("t1", key="k"))
        clock.now += KEY_LIFE - 1
        assert (await do(store, ask("t2", key="k"))).conflict == "known"
        clock.now += 1
        assert (await do(store, ask("t3", key="k"))).conflict is None
        assert (await do(store, ask("t4", key="k"))).known == Known("t3", "digest of t3")

    async def test_is_free_again_when_its_turn_was_declined(self, store: Store, path: str) -> None:
        await do(store, ask("t1", pace=(None, 1)))
        assert (await do(store, ask("t2", key="k", pace=(None, 1)))).conflict == "crowded"
        assert books.table(path, "turn_key") == []
        await end(store, "t1")
        assert (await do(store, ask("t3", key="k", pace=(None, 1)))).conflict is None

    async def test_is_known_before_its_conversation_is_busy(self, store: Store) -> None:
        await do(store, ask("t1", key="k"))
        again = replace(ask("t2", key="k", pace=(1, 1)), conversation="c-t1", ordinal=1)
        assert (await do(store, again)).conflict == "known"


class TestPace:
    async def test_so_many_a_minute(self, store: Store, path: str, clock: Clock) -> None:
        for n in range(3):
            assert (await do(store, ask(f"t{n}", pace=(3, None)))).conflict is None
            clock.now += 10 * 10**6
        before = contents(path)
        refused = await do(store, ask("t3", pace=(3, None)))
        assert (refused.conflict, refused.retry_after) == ("rate", 30.0)
        assert contents(path) == before, "nothing of it stays"
        clock.now += 30 * 10**6 - 1
        assert (await do(store, ask("t4", pace=(3, None)))).retry_after == 1e-6
        clock.now += 1
        assert (await do(store, ask("t5", pace=(3, None)))).conflict is None
        assert (await do(store, ask("t6", pace=(3, None)))).retry_after == 10.0

    async def test_so_many_at_once(self, store: Store, path: str, clock: Clock) -> None:
        for n in range(2):
            assert (await do(store, ask(f"t{n}", pace=(None, 2)))).conflict is None
        before = contents(path)
        clock.now += 10 * MINUTE
        assert (await do(store, ask("t2", pace=(None, 2)))).conflict == "crowded"
        assert contents(path) == before, "nothing of it stays"
        await end(store, "t0")
        assert (await do(store, ask("t3", pace=(None, 2)))).conflict is None

    async def test_is_one_callers_own(self, store: Store) -> None:
        for n, caller in enumerate([ANNA, BEN, replace(ANNA, tenant="other")]):
            assert (await do(store, ask(f"t{n}", caller, pace=(1, 1)))).conflict is None
        assert (await do(store, ask("t3", pace=(1, 1)))).conflict == "rate"

    async def test_of_those_handed_in_at_once(self, store: Store) -> None:
        done = await asyncio.gather(*(do(store, ask(f"t{n}", pace=(None, 2))) for n in range(5)))
        assert [one.conflict for one in done] == [None, None, "crowded", "crowded", "crowded"]

    async def test_is_nothing_to_whoever_has_no_key(self, store: Store) -> None:
        for n in range(3):
            assert (await do(store, ask(f"t{n}", Caller("acme"), pace=(1, 1)))).conflict is None


async def test_what_the_caller_gave_is_kept(store: Store, path: str) -> None:
    await do(store, replace(ask("t1"), request='{"metadata":{"ticket":7}}'))
    [row] = books.table(path, "turn")
    assert row["request"] == '{"metadata":{"ticket":7}}'
    assert row["begun_at"] == row["owned_at"]
