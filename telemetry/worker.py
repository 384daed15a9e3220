"""A background thread that does one piece of work every so often, on demand, and a last time when it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from telemetry.destination import Unreachable

_log = logging.getLogger(__name__)


class Worker:
    """Calls `work()` every `interval` seconds and whenever it is woken.

    The thread is a daemon and whoever waits for it waits with a limit: work that hangs delays nobody. Work that
    raises is logged, once a minute, and done again the next time.
    """

    _told: ClassVar[dict[str, float]] = {}
    """When a complaint was made last: that nobody listens is the same news for all signals."""

    def __init__(self, name: str, interval: float, work: Callable[[], None]) -> None:
        self._name = name
        self._interval = interval
        self._work = work
        self.start()

    def start(self) -> None:
        """A new thread with new locks: at the beginning, and in the child of a fork."""
        self.stopping = False
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._flushes: list[threading.Event] = []
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Whether the work was done, from its beginning, within `timeout` seconds."""
        if not self._thread.is_alive():
            return False
        done = threading.Event()
        with self._lock:
            self._flushes.append(done)
        self._wake.set()
        return done.wait(timeout)

    def stop(self) -> None:
        """Ask for the last round; `join()` waits for it."""
        self.stopping = True
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Whether it ended within `timeout` seconds."""
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            last = self.stopping
            with self._lock:
                flushes, self._flushes = self._flushes, []
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - the edge of the thread: it must outlive whatever is thrown
                self._complain(error)
            for done in flushes:
                done.set()
            if last:
                return

    def _complain(self, error: Exception) -> None:
        told = f"telemetry is lost: {error}" if isinstance(error, Unreachable) else self._failed(error)
        now = time.monotonic()
        if now - self._told.get(told, -60.0) >= 60:
            self._told[told] = now
            _log.warning(told)

    def _failed(self, error: Exception) -> str:
        return f"{self._name} failed: {type(error).__name__}"
