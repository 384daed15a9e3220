"""The one place where an event loop is started, and what signals do to what runs on it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from agent.cli.failures import Stopped

if TYPE_CHECKING:
    from agent.types import Json

Work: TypeAlias = Callable[["Signals"], Coroutine[None, None, int]]


class Signals:
    """SIGINT and SIGTERM cancel the work, once; what it does about that takes its time, and the second signal ends the
    process as if nobody listened. `so_far` is what the work wants to be told beside the error then."""

    def __init__(self) -> None:
        import asyncio

        self.received: signal.Signals | None = None
        self.so_far: Mapping[str, Json] | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        self._listen()
        try:
            yield
        finally:
            self._let_go()

    def forgive(self) -> bool:
        """Whether it was Ctrl-C that cancelled the work: then the work may go on, and the next one counts anew."""
        if self.received != signal.SIGINT:
            return False
        assert self._task
        self._task.uncancel()
        self.received = None
        self._listen()
        return True

    def _listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stop, number)

    def _let_go(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        assert self._task
        self.received = number
        self._let_go()
        self._task.cancel()


def run(work: Work) -> int:
    """Runs a command's work to its exit code. Raises `Stopped` where a signal ended it, and what the work raises."""
    import asyncio

    return asyncio.run(_run(work))


async def _run(work: Work) -> int:
    from asyncio import CancelledError

    signals = Signals()
    with signals.listening():
        try:
            return await work(signals)
        except CancelledError:
            if signals.received is None:
                raise
            raise Stopped(signals.received, signals.so_far) from None
