"""A process that spends: `python -m tests.support.spender STORE LIMIT TASKS CALLS SUBJECTS` hands in holds and settles.

It waits for a line on stdin when it is ready, and prints how many calls were admitted.
"""

from __future__ import annotations

import asyncio
import random
import sys

from agent.money.account import TURN, Granted, Limit
from agent.store.store import Lease, Store
from agent.store.work import Work
from tests.support.works import everything, reserve, settle


async def spend(store: Store, limit: int, calls: int, subjects: int) -> int:
    admitted = 0
    for n in range(calls):
        attempt = f"{store.worker}-{id(asyncio.current_task())}-{n}"
        fresh = Limit(TURN, f"subject-{n % subjects}", "turn", limit)
        done = await store.do(Work(reserve=reserve(attempt, "t", (*everything(limit), fresh), minimum=30)))
        if isinstance(done.grant, Granted):
            admitted += 1
            await asyncio.sleep(random.uniform(0, 0.002))
            cost = random.randint(0, done.grant.bound)
            await store.do(Work(settle=settle(attempt, "t", cost, done.grant.bound)))
    return admitted


async def main(path: str, limit: int, tasks: int, calls: int, subjects: int) -> int:
    store = Store(path, Lease(), "NORMAL")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    admitted = sum(await asyncio.gather(*(spend(store, limit, calls, subjects) for _ in range(tasks))))
    await store.close()
    return admitted


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:6])))}\n")
