"""The ledger's running totals: its sums at any time, read without reading it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from agent.money.account import EVERYTHING
from agent.store.balances import Balance
from agent.store.gauges import Gauges
from agent.store.store import Store
from agent.store.tables import hold
from agent.store.work import Settle, Work
from tests.support import books
from tests.support.works import opened, settle

LIMIT = 100_000


def of_model(ended: Settle, model: str) -> Settle:
    return replace(ended, attempt=replace(ended.attempt, call=replace(ended.attempt.call, model=model)))


async def spend(store: Store) -> None:
    """Two models, a release, an expiry, and an expiry that was corrected."""
    for n in range(6):
        await store.do(opened(f"t{n}", f"a{n}", LIMIT))
    await store.do(Work(settle=settle("a0", "t0", 321)))
    await store.do(Work(settle=of_model(settle("a1", "t1", 500), "large")))
    await store.do(Work(settle=settle("a2", "t2", 21)))
    await store.do(Work(settle=replace(settle("a3", "t3", 0), kind="release")))
    store.pulse(lambda tx: tx.rows(hold.update().values(lease=0)))
    await store.expire()
    await store.do(Work(settle=settle("a5", "t5", 7)))


async def test_are_the_ledgers_sums(store: Store, path: str) -> None:
    await spend(store)
    assert books.total_faults(path) == []
    costs = {(row["model"], row["quality"]): row["cost"] for row in books.table(path, "ledger_total")}
    assert costs == {("small", "measured"): 321 + 21 + 7 - 1100, ("large", "measured"): 500, ("small", "unknown"): 2200}
    attempts = books.total(books.table(path, "ledger_total"), "attempts")
    assert attempts == len(books.table(path, "ledger")) - 1 == 6


async def test_of_many_rows_in_one_transaction(store: Store, path: str) -> None:
    import asyncio

    await asyncio.gather(*(store.do(opened(f"t{n}", f"a{n}", LIMIT)) for n in range(20)))
    ends = [of_model(settle(f"a{n}", f"t{n}", n), f"model-{n % 3}") for n in range(20)]
    await asyncio.gather(*(store.do(Work(settle=end)) for end in ends))
    assert books.total_faults(path) == []
    assert len(books.table(path, "ledger_total")) == 3


async def test_gauges_never_read_the_ledger(store: Store) -> None:
    """Of the ledger there may be ten million rows, of counters one for each turn that ever was."""
    await spend(store)
    gauges, read = Gauges(), set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            read.add(table)
        return sqlite3.SQLITE_OK

    store._pulse.set_authorizer(note)
    store.look(gauges.refresh)
    store._pulse.set_authorizer(None)
    assert read == {"ledger_total", "counter"}
    assert gauges.costs["desk", "large", "desk", "1", "measured"] == 500
    assert gauges.balances == {EVERYTHING: Balance(321 + 500 + 21 + 7 + 1100, 0)}
