"""One row in a process of its own: `python -m tests.benchmarks.worker ROW BASE_URL OTLP_URL FOLDER`.

A number on stdin runs one chunk of so many; what it took is a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.benchmarks.rows import ROWS, Place, Run


def speed() -> float:
    """Milliseconds of a loop that does nothing: a machine that is shared has a fast and a slow state."""
    best = 1e9
    for _ in range(3):
        began = time.thread_time()
        for number in range(20_000):
            number & 7
        best = min(best, time.thread_time() - began)
    return best * 1e3


async def chunk(run: Run, count: int) -> dict[str, float]:
    before = speed()
    cpu, wall = time.process_time(), time.perf_counter()
    own = await run(count)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "cpu": cpu / count * 1e6,
        "wall": (wall / count if own is None else own) * 1e6,
        "speed": max(before, speed()),
    }


async def main(name: str, base_url: str, otlp_url: str, folder: str) -> None:
    async with AsyncExitStack() as stack:
        run = await ROWS[name].open(Place(base_url, otlp_url, Path(folder), stack))
        await run(ROWS[name].count)
        while line := await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps(await chunk(run, int(line))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
