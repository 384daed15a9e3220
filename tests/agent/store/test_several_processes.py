"""Several processes, each with tasks that spend from one budget until it is gone; the ledger is the witness."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.store.store import Lease, Store
from tests.support import books
from tests.support.processes import Processes
from tests.support.works import BASE, UNIT

PROCESSES, TASKS, CALLS, SUBJECTS = 4, 8, 12, 3
LIMIT = 60_000
"""Of nano-dollars; the calls would cost four times that."""


def spenders(processes: Processes, path: Path, limit: int, calls: int, subjects: int) -> int:
    """Starts them all at once; how many calls they were admitted."""
    numbers = [str(number) for number in (limit, TASKS, calls, subjects)]
    started = [processes.python("-m", "tests.support.spender", str(path), *numbers) for _ in range(PROCESSES)]
    for process in started:
        process.wait_for_line("ready")
    for process in started:
        process.send("go\n")
    return sum(int(process.wait_for_line(r"^\d+$")[0]) for process in started)


def test_no_admission_overspends(tmp_path: Path, processes: Processes) -> None:
    path = tmp_path / "store.db"
    admitted = spenders(processes, path, LIMIT, CALLS, SUBJECTS)
    rows = books.table(path, "ledger", "id")
    assert len(rows) == admitted < PROCESSES * TASKS * CALLS, "the limit was hit"
    assert len({row["attempt"] for row in rows}) == admitted
    assert len({row["writer"] for row in rows}) == PROCESSES
    assert books.replay(path) == books.chain_faults(path) == books.total_faults(path) == []
    assert books.table(path, "hold") == []
    [everything] = [row for row in books.table(path, "counter") if row["budget"] == 1]
    assert everything["settled"] == books.total(rows, "cost") <= LIMIT


def test_first_use_of_counters_is_raced(tmp_path: Path, processes: Processes) -> None:
    """Subjects that nobody has a row for yet, with room for one call each: one call each."""
    path = tmp_path / "store.db"
    asyncio.run(_empty(path))
    once = BASE + 30 * UNIT + 1
    spenders(processes, path, once * 1000, 12, 12)
    assert books.replay(path) == []
    keys = [(row["budget"], row["subject"]) for row in books.table(path, "counter")]
    assert len(keys) == len(set(keys)) == 13


async def _empty(path: Path) -> None:
    await Store(str(path), Lease()).close()
