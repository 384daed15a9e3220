"""Gates: a request waits at one until a test lets it go on, so that a kill or a freeze can be placed exactly."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future


class Gate:
    """Opened once, for good. All but `arrived` may be called from any thread; that from any loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._arrived: Future[None] = Future()
        self._released: Future[None] = Future()

    async def arrived(self) -> None:
        """Returns when a request has come to the gate (at once, if one had)."""
        await _done(self._arrived)

    def wait_arrived(self, timeout: float | None = None) -> None:
        """The same for a thread; TimeoutError after `timeout` seconds."""
        self._arrived.result(timeout)

    def release(self) -> None:
        _set(self._released)

    async def passed(self) -> None:
        """The server's side: says that a request has come, and waits."""
        _set(self._arrived)
        await _done(self._released)


class Gates:
    """Gates by name; a gate is there as soon as anybody names it."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def named(self, name: str) -> Gate:
        return self._gates.setdefault(name, Gate(name))

    def unused_name(self) -> str:
        return f"gate-{len(self._gates) + 1}"


def _set(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _done(future: Future[None]) -> None:
    # Shielded: cancelling a wrapped future cancels what it wraps, and with it every other waiter.
    await asyncio.shield(asyncio.wrap_future(future))
