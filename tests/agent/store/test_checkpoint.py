"""The log of a file beside writers that never pause."""

from __future__ import annotations

import asyncio
import os

import pytest

from agent.store import sqlite
from agent.store.store import Lease, Store
from agent.store.work import Work
from tests.support import books
from tests.support.works import opened, settle

LIMIT = 10**9
TURNS = 300
PAGE = 4096


async def test_the_log_begins_anew(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LONG_LOG", 64)
    store = Store(path, Lease(), "NORMAL")
    longest = 0
    for n in range(TURNS):
        await store.do(opened(f"t{n}", f"a{n}", LIMIT))
        if n % 10 == 0:  # a checkpoint that a commit falls into, as it does under load
            settled = asyncio.ensure_future(store.do(Work(settle=settle(f"a{n}", f"t{n}", n))))
            await asyncio.gather(asyncio.to_thread(store.checkpoint), settled)
        longest = max(longest, _log_size(path))
    await store.close()
    written = books.table(path, "turn")
    assert len(written) == TURNS
    assert longest < 256 * PAGE, "a turn is some ten pages: without a new beginning there are thousands"


async def test_a_long_log_is_left_alone_while_another_process_writes(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LONG_LOG", 0)
    monkeypatch.setattr(sqlite, "_TRIES", 3)
    store = Store(path, Lease(), "NORMAL")
    await store.do(opened("t", "a", LIMIT))
    other = sqlite.connect(path)
    other.execute("BEGIN IMMEDIATE")
    store.checkpoint()
    other.execute("ROLLBACK")
    other.close()
    await store.do(Work(settle=settle("a", "t", 7)))
    await store.close()
    assert books.total(books.table(path, "ledger"), "cost") == 7


def _log_size(path: str) -> int:
    return os.path.getsize(f"{path}-wal")
