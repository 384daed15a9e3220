"""The time limits of an attempt, behind one alarm."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Literal

from agent.config import Timeouts

Limit = Literal["first_byte_timeout", "between_timeout", "deadline"]

_DRAIN = 0.1
"""Seconds that the end of a body may take once its content is complete: read to its end, a connection is used again."""


class Clock:
    """Use it as the context; `running` names the limit that ends it. Exists within a running event loop.

    Limits move with every chunk. So the alarm stays where it is, and one that goes off too early is set anew.
    """

    def __init__(self, timeouts: Timeouts, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._deadline = self._due = self._loop.time() + timeout
        self._timer = asyncio.timeout(None)
        self._alarm: asyncio.TimerHandle | None = None
        self.running: Limit = "deadline"

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()
        self._set_alarm(min(self._due, self._loop.time() + self._timeouts.between))  # or the first byte would move it

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._alarm:
            self._alarm.cancel()
        await self._timer.__aexit__(kind, error, traceback)

    def expired(self) -> bool:
        return self._timer.expired()

    def await_first_byte(self) -> None:
        self._within(self._timeouts.first_byte, "first_byte_timeout")

    def await_more(self, complete: bool) -> None:
        self._within(_DRAIN if complete else self._timeouts.between, "between_timeout")

    def pause(self) -> None:
        """Only the deadline runs: a slow consumer is not a slow provider."""
        self.running = "deadline"
        self._due = self._deadline

    def _within(self, seconds: float, limit: Limit) -> None:
        when = self._loop.time() + seconds
        self.running = limit if when < self._deadline else "deadline"
        self._due = min(when, self._deadline)
        if self._alarm and self._due < self._alarm.when():
            self._alarm.cancel()
            self._set_alarm(self._due)

    def _set_alarm(self, when: float) -> None:
        self._alarm = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        if self._loop.time() < self._due:
            self._set_alarm(self._due)
        else:
            self._timer.reschedule(self._due)  # which is now
