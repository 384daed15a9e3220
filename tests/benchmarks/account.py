"""Reserve and settle with five budgets, through the program's own store: two transactions and a ledger row each."""

from __future__ import annotations

import asyncio
import itertools

from agent.money.account import NANO, TURN, Granted, Limit
from agent.store.store import Store
from agent.store.work import Work
from tests.support.works import everything, reserve, settle

TASKS = 64
LIMIT = 10**6 * NANO

_numbers = itertools.count()


async def pair(store: Store) -> None:
    """One attempt's money."""
    number = next(_numbers)
    attempt, task = f"attempt-{number}", number % TASKS
    subjects = (f"turn-{number}", f"conversation-{task}", f"user-{task % 8}", f"tenant-{task % 2}")
    limits = (*everything(LIMIT), *(Limit(TURN, subject, "turn", LIMIT) for subject in subjects))
    done = await store.do(Work(reserve=reserve(attempt, subjects[0], limits)))
    assert isinstance(done.grant, Granted)
    await store.do(Work(settle=settle(attempt, subjects[0], done.grant.bound // 2, done.grant.bound)))


async def pairs(store: Store, count: int) -> None:
    async def some() -> None:
        for _ in range(count // TASKS):
            await pair(store)

    await asyncio.gather(*(some() for _ in range(TASKS)))
