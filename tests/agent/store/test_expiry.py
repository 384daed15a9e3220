"""Holds that another version of the program wrote, or nobody knows who, among those whose lease is over."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from agent.store import accounts, expiry
from agent.store.accounts import Unreadable
from agent.store.store import Store
from agent.store.work import Work
from tests.support import books
from tests.support.works import call, opened, settle

LIMIT = 100_000

NEWER = [
    "dims = json_set(dims, '$.call.release', 'r1', '$.shard', 7)",
    "dims = json_remove(dims, '$.call.prompt_digest', '$.call.stream', '$.trace_id', '$.number')",
    "lines = json_array(json_array(json_extract(lines, '$[0][0]'), 1100, 1, null, 'usd', 'window', 7))",
    "lines = json_array(json_array(json_extract(lines, '$[0][0]'), 1100, 1, null))",
]
UNREADABLE = [
    "dims = 'garbage'",
    "dims = '[]'",
    "dims = json_set(dims, '$.call', 7)",
    "dims = json_set(dims, '$.call.epoch', 'first')",
    "dims = json_set(dims, '$.number', 'one')",
    "lines = 'garbage'",
    "lines = '7'",
    "lines = '[[]]'",
    "lines = '[[999, 1100, 1, null]]'",
    "lines = '[{}]'",
    """lines = '[["everything", 1100, 1, null]]'""",
    "lines = json_set(lines, '$[0][4]', 'requests')",
]


async def two_lapsed(store: Store, path: str, change: str) -> None:
    for n in (1, 2):
        await store.do(opened(f"t{n}", f"a{n}", LIMIT))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE hold SET lease = CASE id WHEN 'a1' THEN 0 ELSE 1 END")
        other.execute(f"UPDATE hold SET {change} WHERE id = 'a1'")


@pytest.mark.parametrize("change", NEWER)
async def test_what_is_not_known_is_passed_over(store: Store, path: str, change: str) -> None:
    await two_lapsed(store, path, change)
    assert [attempt.id for attempt in (await store.expire()).expired] == ["a1", "a2"]
    assert [(row["kind"], row["cost"]) for row in books.table(path, "ledger")] == [("expiry", 1100)] * 2


@pytest.mark.parametrize("change", UNREADABLE)
async def test_what_says_nothing_stays_and_the_others_end(
    store: Store, path: str, change: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(expiry, "AT_ONCE", 1)  # as if there were more of them than expire at once
    await two_lapsed(store, path, change)
    expired = [attempt.id for _ in range(3) for attempt in (await store.expire()).expired]
    assert expired == ["a2"]
    assert [row["id"] for row in books.table(path, "hold")] == ["a1"]
    assert caplog.text.count("hold of attempt a1 can't be ended") == 1
    await store.do(opened("t3", "a3", LIMIT))
    await store.do(Work(settle=settle("a3", "t3", 7)))
    assert books.chain_faults(path) == books.total_faults(path) == []


def test_a_call_is_read_as_it_was_written() -> None:
    assert accounts.read_dims(accounts.dims(call("t1"), 2, "f" * 32)) == (call("t1"), 2, "f" * 32)


@pytest.mark.parametrize("lines", ["[{}]", "[1]", "null", "[[1]]"])
def test_lines_that_are_none(lines: str) -> None:
    with pytest.raises(Unreadable):
        accounts.read_lines(lines)
