"""How many turns run at once: so many run, so many wait for a moment, the others are told to come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from agent.service.errors import unavailable

WAITING = 5.0
"""Seconds that somebody waits for a place at most."""


class Places:
    """`running` turns at once, and so many in line; `waiting` says how many are in it now."""

    def __init__(self, running: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(running)
        self._line = waiting
        self.waiting = 0
        self._taken = 0
        self._idle = asyncio.Event()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place. Raises `ApiError` (503) where the line is full, or too slow."""
        await self._take()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._free.release()
            self._idle.set()

    @property
    def taken(self) -> int:
        return self._taken

    async def all_free(self) -> None:
        """Returns once nobody has a place."""
        while self._taken:
            self._idle.clear()
            await self._idle.wait()

    async def _take(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= self._line:
            raise unavailable("overloaded", "Too many requests are under way here; try again.", 1)
        self.waiting += 1
        try:
            async with asyncio.timeout(WAITING):
                await self._free.acquire()
        except TimeoutError:
            raise unavailable("overloaded", "No request under way here ended in time; try again.", 2) from None
        finally:
            self.waiting -= 1
