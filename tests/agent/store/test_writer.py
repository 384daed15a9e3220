"""The writer while others hold the file, while it is left, and while it is closed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.money.account import Granted
from agent.store import sqlite, writer
from agent.store.errors import StoreBusy, StoreError
from agent.store.store import Lease, Store
from agent.store.tx import Tx
from agent.store.work import Fence, Finish, Work
from tests.support import books
from tests.support.until import until
from tests.support.works import opened, reserve, settle, step

LIMIT = 100_000


@contextmanager
def locked(path: str) -> Iterator[sqlite3.Connection]:
    """Another process is in the middle of a transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.fixture(name="_impatient")
def __impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the file gives up soon, and tries a settle again soon."""
    monkeypatch.setattr(sqlite, "DEADLINE", 0.05)
    monkeypatch.setattr(writer, "RETRY", 0.01)


async def test_waits_for_the_file(store: Store, path: str) -> None:
    with locked(path) as other:
        waiting = asyncio.ensure_future(store.do(opened("t1", "a1", LIMIT)))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        other.execute("ROLLBACK")
    assert isinstance((await waiting).grant, Granted)


@pytest.mark.usefixtures("_impatient")
async def test_a_file_that_stays_locked_is_told_to_everybody_at_once(store: Store, path: str) -> None:
    """They waited together; one after the other, the last of a hundred turns would hear of it minutes later."""
    with locked(path) as other:
        waiting = [asyncio.ensure_future(store.do(opened(f"t{n}", f"a{n}", LIMIT))) for n in range(5)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        other.execute("ROLLBACK")
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [StoreBusy] * 5
    assert books.table(path, "turn") == books.table(path, "hold") == []


@pytest.mark.usefixtures("_impatient")
class TestSettleThatFails:
    async def test_is_booked_once_the_file_is_free(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        with locked(path) as other:
            with pytest.raises(StoreBusy):
                await store.do(Work(fence=Fence("t1", 1), settle=settle("a1", "t1", 321), steps=(step("t1"),)))
            assert store.settles_waiting == 1
            other.execute("ROLLBACK")
        await until(lambda: not store.settles_waiting)
        assert [(row["kind"], row["cost"]) for row in books.table(path, "ledger")] == [("attempt", 321)]
        assert [row["key"] for row in books.table(path, "step")] == ["m0"], "the reply that was paid is in the journal"

    async def test_makes_no_hold_for_a_turn_that_has_been_told(self, store: Store, path: str) -> None:
        await store.do(opened("t1", "a1", LIMIT))
        with locked(path) as other:
            with pytest.raises(StoreBusy):
                await store.do(
                    Work(fence=Fence("t1", 1), settle=settle("a1", "t1", 321), reserve=reserve("a2", "t1", LIMIT))
                )
            other.execute("ROLLBACK")
        await until(lambda: not store.settles_waiting)
        assert books.table(path, "hold") == []
        assert books.replay(path) == []

    async def test_is_booked_by_closing(self, store: Store, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer, "RETRY", 1000)
        await store.do(opened("t1", "a1", LIMIT))
        with locked(path) as other:
            with pytest.raises(StoreBusy):
                await store.do(Work(settle=settle("a1", "t1", 321)))
            other.execute("ROLLBACK")
        second = Store(path, Lease())
        await store.close()
        assert [(row["kind"], row["cost"]) for row in books.table(path, "ledger")] == [("attempt", 321)]
        await second.close()

    async def test_gives_up_when_closing_fails_too(self, path: str, caplog: pytest.LogCaptureFixture) -> None:
        store = Store(path, Lease())
        await store.do(opened("t1", "a1", LIMIT))
        with locked(path):
            with pytest.raises(StoreBusy):
                await store.do(Work(settle=settle("a1", "t1", 321)))
            await asyncio.wait_for(store.close(), 5)
        assert "attempt a1" in caplog.text
        assert [row["id"] for row in books.table(path, "hold")] == ["a1"], "it expires, at its bound"
        assert store.settles_waiting == 0


@pytest.mark.usefixtures("_impatient")
async def test_closing_while_the_file_is_locked_lets_go_of_it(path: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(path, Lease())
    with locked(path):
        await store.close()
    assert "lease" in caplog.text
    with pytest.raises(StoreError):
        await store.read(lambda tx: tx.rows(select(1)))


async def test_many_turns_share_transactions(path: str) -> None:
    """Sixty-four turns begin while one commit is on its way: they are not sixty-four commits."""
    store = Store(path, Lease(), "FULL")
    results = await asyncio.gather(*(store.do(opened(f"t{n}", f"a{n}", LIMIT)) for n in range(64)))
    times = {done.at for done in results}
    assert len(times) == 1, "one transaction has one time"
    await asyncio.gather(*(store.do(Work(settle=settle(f"a{n}", f"t{n}", n))) for n in range(64)))
    await store.close()
    assert books.total(books.table(path, "ledger"), "cost") == sum(range(64))
    assert books.replay(path) == books.chain_faults(path) == []


async def test_close_waits_for_what_was_handed_in(path: str) -> None:
    store = Store(path, Lease(), "FULL")
    handed_in = asyncio.ensure_future(store.do(opened("t1", "a1", LIMIT)))
    await asyncio.sleep(0)
    await store.close()
    assert isinstance((await handed_in).grant, Granted)


async def test_close_waits_for_a_thread_that_is_at_the_store(path: str) -> None:
    store = Store(path, Lease())
    inside, go_on = threading.Event(), threading.Event()

    def look(tx: Tx) -> int:
        inside.set()
        assert go_on.wait(30)
        return len(tx.rows(select(1)))

    looking = asyncio.create_task(asyncio.to_thread(store.look, look))
    await asyncio.to_thread(inside.wait, 30)
    closing = asyncio.create_task(asyncio.to_thread(asyncio.run, store.close()))
    await asyncio.wait([closing], timeout=0.1)
    assert not closing.done()
    go_on.set()
    assert await looking == 1
    await closing
    with pytest.raises(StoreError, match="closed"):
        store.look(look)


async def test_close_is_cancelled_and_closes_first(path: str) -> None:
    store = Store(path, Lease(), "FULL")
    with locked(path) as other:
        handed_in = asyncio.create_task(store.do(opened("t1", "a1", LIMIT)))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        await asyncio.sleep(0.01)
        assert not closing.done()
        other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert isinstance((await handed_in).grant, Granted)
    assert [row["state"] for row in books.table(path, "worker")] == ["dead"]


async def test_the_event_loop_ends_during_a_commit(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a second Ctrl-C: the connection is the thread's until it is done."""
    store = Store(path, Lease(), "FULL")
    began, go_on, rolled_back = threading.Event(), threading.Event(), threading.Event()
    commit, rollback = store._writer._connection.commit, sqlite.rollback

    class Slow:
        """The connection, with a disk that takes its time."""

        def __getattr__(self, name: str) -> object:
            return getattr(store._write, name)

        def commit(self) -> None:
            began.set()
            assert go_on.wait(30)
            assert not rolled_back.is_set()
            commit()

    def rolling_back(connection: sqlite3.Connection) -> None:
        rolled_back.set()
        rollback(connection)

    monkeypatch.setattr(store._writer, "_connection", Slow())
    monkeypatch.setattr(sqlite, "rollback", rolling_back)
    doing = asyncio.create_task(store.do(opened("t1", "a1", LIMIT)))
    await asyncio.to_thread(began.wait, 30)
    assert store._writer._running
    threading.Timer(0.05, go_on.set).start()
    store._writer._running.cancel()
    await asyncio.wait([store._writer._running])
    doing.cancel()
    await asyncio.wait([doing])
    await store.close()
    assert [row["id"] for row in books.table(path, "hold")] == ["a1"]


@pytest.mark.parametrize("instead", [None, "another store"])
async def test_a_file_that_is_no_longer_the_store(store: Store, path: str, tmp_path: Path, instead: str | None) -> None:
    """Deleted or replaced: whoever goes on writing to what was open loses it."""
    await store.do(opened("t1", "a1", LIMIT))
    if instead:
        other = Store(str(tmp_path / instead), Lease())
        await other.close()
        os.replace(tmp_path / instead, path)
    else:
        os.unlink(path)
    with pytest.raises(StoreError, match=f"{path}: the store was deleted or replaced"):
        await store.do(opened("t2", "a2", LIMIT))
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.pulse(lambda tx: tx.rows(select(1)))


async def test_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(":memory:", Lease())
    done = await store.do(opened("t1", "a1", LIMIT))
    assert isinstance(done.grant, Granted)
    bad = Work(fence=Fence("t1", 1), settle=settle("a1", "t1", 321), steps=(step("t1"), step("t1")))
    with pytest.raises(StoreError, match="UNIQUE"):
        await store.do(bad)
    end = Work(fence=Fence("t1", 1), settle=settle("a1", "t1", 321), finish=Finish("answered", None))
    assert not (await store.do(replace(end, steps=(step("t1"),)))).fenced
    await store.close()


def test_store_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a/b/store.db"

    async def use() -> None:
        await Store(str(path), Lease()).close()

    asyncio.run(use())
    assert path.exists()
