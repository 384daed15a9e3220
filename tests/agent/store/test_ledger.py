"""The ledger can't be changed unseen: the database refuses, and the chain of digests shows what got past it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from agent.store import ledger
from agent.store.store import Lease, Store
from agent.store.work import Work
from tests.support import books
from tests.support.works import opened, settle


@pytest.fixture(name="booked")
async def _booked(path: str) -> str:
    """A store with nine rows of two writers, an expiry and its correction among them."""
    for writer in range(2):
        store = Store(path, Lease(), "NORMAL")
        for n in range(4):
            name = f"{writer}-{n}"
            await store.do(opened(f"t{name}", f"a{name}", 10**6))
            if n == 2:
                store.pulse(lambda tx: tx.connection.execute("UPDATE hold SET lease = 0"))  # type: ignore[attr-defined]
                await store.expire()
            if writer == 0 or n != 2:
                await store.do(Work(settle=settle(f"a{name}", f"t{name}", 100 + n)))
        await store.close()
    return path


@pytest.fixture(name="file")
def _file(booked: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(booked, isolation_level=None)) as connection:
        yield connection


def test_chain_and_counters_verify(booked: str) -> None:
    kinds = [row["kind"] for row in books.table(booked, "ledger", "id")]
    assert kinds == [*["attempt"] * 2, "expiry", "correction", *["attempt"] * 3, "expiry", "attempt"]
    assert books.chain_faults(booked) == books.replay(booked) == books.total_faults(booked) == []
    assert [row["n"] for row in books.table(booked, "ledger", "id")] == [1, 2, 3, 4, 5, 1, 2, 3, 4]


def test_a_column_that_comes_later_changes_no_digest(booked: str, file: sqlite3.Connection) -> None:
    file.execute("ALTER TABLE ledger ADD COLUMN later TEXT")
    assert books.chain_faults(booked) == []


def test_a_digest_covers_every_column(booked: str) -> None:
    """Of the newest format; and what the program covers is what the books say."""
    [row, *_] = books.table(booked, "ledger", "id")
    assert {*ledger.FORMATS[ledger.FORMAT]} == {*row} - {"id", "digest"}
    assert {number: list(names) for number, names in books.FORMATS.items()} == {
        number: list(names) for number, names in ledger.FORMATS.items()
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET cost = 0",
        "UPDATE ledger SET cost = cost WHERE id = 1",
        "DELETE FROM ledger",
        "DELETE FROM ledger WHERE id = (SELECT max(id) FROM ledger)",
        "REPLACE INTO ledger SELECT * FROM ledger WHERE id = 1",
        "INSERT OR REPLACE INTO ledger SELECT * FROM ledger WHERE id = 2",
        "INSERT OR IGNORE INTO ledger SELECT * FROM ledger WHERE id = 2",
        "UPDATE OR REPLACE ledger SET id = 1 WHERE id = 2",
        # under a new id: the same attempt, and the same place in its writer's chain
        "INSERT OR REPLACE INTO ledger SELECT 99, {rest} FROM ledger WHERE id = 2",
        "INSERT INTO ledger SELECT 99, 'other', {after} FROM ledger WHERE id = 2",
        "INSERT OR REPLACE INTO ledger SELECT 99, 'other', {after} FROM ledger WHERE id = 2",
    ],
)
def test_the_database_refuses(booked: str, file: sqlite3.Connection, statement: str) -> None:
    before = books.table(booked, "ledger", "id")
    names = [name for name in before[0] if name != "id"]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        file.execute(statement.format(rest=", ".join(names), after=", ".join(names[1:])))
    assert books.table(booked, "ledger", "id") == before


class TestBehindTheTriggers:
    """Somebody who owns the file drops the triggers first."""

    @pytest.fixture(autouse=True)
    def _open(self, file: sqlite3.Connection) -> None:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")

    @pytest.mark.parametrize(
        ("statement", "chain", "sums"),
        [
            ("UPDATE ledger SET cost = cost - 1 WHERE id = 2", True, True),
            ("UPDATE ledger SET tenant = 'other' WHERE id = 3", True, False),
            ("UPDATE ledger SET reason = 'a friend', made_by = 'a friend' WHERE id = 4", True, False),
            ("UPDATE ledger SET outcome = 'ok ' WHERE id = 9", True, False),
            ("DELETE FROM ledger WHERE id = 9", True, True),  # the last one
            ("DELETE FROM ledger WHERE id = 4", True, True),
            ("UPDATE writer SET n = n - 1 WHERE n = 4", True, False),
            ("UPDATE counter SET settled = settled - 1 WHERE budget = 1", False, True),
            ("UPDATE counter SET reserved = 5 WHERE budget = 1", False, True),
            ("UPDATE counter SET seq = seq + 1 WHERE budget = 1", False, True),
        ],
    )
    def test_is_found(self, booked: str, file: sqlite3.Connection, statement: str, chain: bool, sums: bool) -> None:
        file.execute(statement)
        assert (bool(books.chain_faults(booked)), bool(books.replay(booked))) == (chain, sums)

    def test_two_rows_swapped(self, booked: str, file: sqlite3.Connection) -> None:
        file.execute("UPDATE ledger SET n = 3 - n + 100 WHERE id IN (1, 2)")
        file.execute("UPDATE ledger SET n = n - 100 WHERE id IN (1, 2)")
        assert books.chain_faults(booked)


async def test_serial_order_has_no_gaps(path: str) -> None:
    """Refusals, releases and expiries included; many at once."""
    store = Store(path, Lease(), "NORMAL")

    async def spend(n: int) -> None:
        waiting = asyncio.ensure_future(store.do(opened(f"t{n}", f"a{n}", 20_000)))
        if n % 7 == 0:
            await asyncio.sleep(0)
            waiting.cancel()
            return
        await waiting
        if n % 5:
            await store.do(Work(settle=settle(f"a{n}", f"t{n}", 10 * n)))

    await asyncio.gather(*(spend(n) for n in range(60)))
    await store.close()
    assert books.replay(path) == books.chain_faults(path) == books.total_faults(path) == []
    [everything] = [row for row in books.table(path, "counter") if row["budget"] == 1]
    moves = [line for row in books.table(path, "ledger") for line in books.lines(row) if line[0] == everything["id"]]
    assert everything["seq"] == 2 * len(moves) + len(books.table(path, "hold"))
