"""The turns that have a task in this process, so that they can be stopped when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator

from agent.conversing import Conversing
from agent.journal import TakenOver
from agent.pulse import Pulse
from agent.store.errors import StoreError
from agent.types import TurnResult

STOPPING = 5.0
"""Seconds that running turns get to stop when the program does."""


class UnderWay:
    """`leaving`: this process ends and begins no more turns. `dead`: because others have taken it for dead."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._running: list[tuple[asyncio.Task[object], Conversing]] = []
        self._idle = asyncio.Event()
        self.dead = asyncio.Event()
        self.leaving = False

    def __contains__(self, turn_id: str) -> bool:
        return turn_id in self._pulse.turns

    @contextlib.contextmanager
    def has_a_task(self, turn_id: str) -> Iterator[None]:
        """The pulse leaves the turn to it."""
        self._pulse.turns.add(turn_id)
        try:
            yield
        finally:
            self._pulse.turns.discard(turn_id)

    async def run(self, turn: Coroutine[None, None, TurnResult], so_far: Conversing) -> TurnResult:
        """Runs a turn so that `declared_dead` and `hand_back` can reach it. Raises `StoreError` when leaving."""
        if self.leaving:
            turn.close()
            raise StoreError("this process was declared dead or is ending: it begins no more turns")
        task = asyncio.current_task()
        assert task
        entry = (task, so_far)
        self._running.append(entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if not self.dead.is_set() or task.uncancel():  # somebody else has cancelled it, too
                raise
            raise TakenOver from None
        finally:
            self._running.remove(entry)
            self._idle.set()

    def declared_dead(self) -> None:
        """This process's turns are another's now."""
        self.dead.set()
        self._cancel()

    def _cancel(self) -> None:
        """Stops what runs without ending it, and begins nothing more."""
        self.leaving = True
        for task, so_far in self._running:
            so_far.handed_back = True
            task.cancel()

    async def hand_back(self) -> None:
        """Stops what runs without ending it: once this process has left, another one may go on with it."""
        self._cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOPPING):
                while self._running:  # what they have paid is booked before the store is closed
                    self._idle.clear()
                    await self._idle.wait()
