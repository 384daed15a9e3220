"""Many clients at once, each with one turn after the other: `python -m tests.benchmarks.crowd WHAT URL CLIENTS TURNS`.

WHAT is `bare`, the tutorial's loop on the model at URL in this process, or `served`, an agent of `agent serve` there.
Everything is streamed. It says that it is ready; then a line on stdin begins a round, and what that showed is a line of
JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import aiohttp

from tests.benchmarks.bare import Bare
from tests.benchmarks.program import EXPECTED, QUESTION

Turn: TypeAlias = Callable[[], Awaitable[None]]

APART = 0.015
"""Seconds between two clients that connect: a burst of connections would measure the kernel's queue."""


class Served:
    """A client of the service that reads a stream to its end."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = f"{base_url}/chat/completions"
        self._body = {"model": "support", "messages": [{"role": "user", "content": QUESTION}], "stream": True}

    async def turn(self) -> None:
        async with self._session.post(self._url, json=self._body) as answer:
            said = await answer.read()
        if not said.endswith(b"data: [DONE]\n\n") or EXPECTED.split()[-1].encode() not in said:
            raise AssertionError(f"{answer.status}: {said[-300:]!r}")


def bare(base_url: str, clients: int) -> Turn:
    loop = Bare(base_url, connections=clients)

    async def turn() -> None:
        said = await loop.streamed_turn()
        assert said.endswith(EXPECTED), said

    return turn


async def round_of(turn: Turn, clients: int, turns: int, apart: float = 0.0) -> dict[str, float]:
    """Turns a second, and how long they took, in seconds."""
    took: list[float] = []

    async def client(number: int) -> None:
        await asyncio.sleep(number * apart)
        for _ in range(turns):
            began = time.perf_counter()
            await turn()
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    percentiles = statistics.quantiles(took, n=100)
    return {"rate": len(took) / (time.perf_counter() - began), "p50": percentiles[49], "p99": percentiles[98]}


async def main(what: str, base_url: str, clients: int, turns: int) -> None:
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))
        turn = bare(base_url, clients) if what == "bare" else Served(session, base_url).turn
        await round_of(turn, clients, 1, APART)
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await round_of(turn, clients, turns)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
