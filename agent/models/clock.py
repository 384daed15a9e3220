"""The time limits of an attempt, behind one timer."""

from __future__ import annotations

import asyncio
from typing import Literal

from agent.config import Timeouts

Limit = Literal["first_byte_timeout", "between_timeout", "deadline"]

_DRAIN = 0.1
"""Seconds that the end of a body may take once its content is complete: read to its end, a connection is used again."""


class Clock:
    """Use `timer` as the context; `running` names the limit that ends it. Exists within a running event loop."""

    def __init__(self, timeouts: Timeouts, timeout: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._timeouts = timeouts
        self._deadline = self._now() + timeout
        self.timer = asyncio.timeout_at(self._deadline)
        self.running: Limit = "deadline"

    def await_first_byte(self) -> None:
        self._within(self._timeouts.first_byte, "first_byte_timeout")

    def await_more(self, complete: bool) -> None:
        self._within(_DRAIN if complete else self._timeouts.between, "between_timeout")

    def pause(self) -> None:
        """Only the deadline runs: a slow consumer is not a slow provider."""
        self.running = "deadline"
        self.timer.reschedule(self._deadline)

    def _within(self, seconds: float, limit: Limit) -> None:
        when = self._now() + seconds
        self.running = limit if when < self._deadline else "deadline"
        self.timer.reschedule(min(when, self._deadline))
