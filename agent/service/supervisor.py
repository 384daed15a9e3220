"""Keeps worker processes running on one socket: starts them, starts a dead one again, replaces and ends them.

SIGTERM and SIGINT end all of them, each in its own time, and a second one at once; SIGHUP replaces them one by one,
which is how a new configuration comes into force. It holds no turn and no store: whatever happens to it, a turn is in
the store.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from agent.service.plan import Plan
from agent.service.process import REPLACED, Process

log = logging.getLogger(__name__)

ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
SIGNALS = ENDING | {signal.SIGHUP, signal.SIGCHLD}

SETTLED = 10.0
"""Seconds after which a worker that dies is started again at once; before, ever later."""

_LONGEST_WAIT = 30.0
_DOUBLINGS = 6
"""After so many the longest wait is reached."""

_LOOK = 0.5


class CannotServe(Exception):
    """The first workers did not start; the one that didn't has said why."""


@dataclass(slots=True)
class _Seat:
    """A worker's place: where it is scraped, its process, and when there is to be a new one after it died."""

    index: int
    metrics: socket.socket
    scraped: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    process: Process | None = None
    deaths: int = 0
    due: float | None = None


class Supervisor:
    """`plan` makes a worker's plan from its file descriptors: socket, metrics, scraped, ready, life."""

    def __init__(
        self,
        listener: socket.socket,
        metrics: Sequence[socket.socket],
        plan: Callable[[int, int, int, int, int], Plan],
    ) -> None:
        self._listener = listener
        self._plan = plan
        self._seats = [_Seat(index, each) for index, each in enumerate(metrics)]
        self._leaving: list[Process] = []
        self._life = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> int:
        """Until a signal ends it: exit code 0. `on_ready` is called once all workers serve. Raises `CannotServe`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._start_all():
                on_ready()
                self._watch()
            elif not _asked_to_end():
                raise CannotServe
        finally:
            self._end_all()
        return 0

    def _start_all(self) -> bool:
        """The first one makes the store where there is none, and says what is wrong, once."""
        for seats in (self._seats[:1], self._seats[1:]):
            started = [self._start(seat) for seat in seats]
            for seat, process in zip(seats, started, strict=True):
                seat.process = process
            if not all(process.serves(_asked_to_end) for process in started):
                return False
        return True

    def _watch(self) -> None:
        while True:
            received = signal.sigtimedwait(SIGNALS, self._wait())
            if received and received.si_signo in ENDING:
                return
            if received and received.si_signo == signal.SIGHUP:
                self._replace_all()
            self._bury()
            for seat in self._seats:
                if seat.due is not None and seat.due <= time.monotonic():
                    self._start_again(seat)

    def _wait(self) -> float:
        """Seconds until there is something to do beside signals."""
        if self._leaving or any(seat.process and seat.process.ready is not None for seat in self._seats):
            return _LOOK
        due = [seat.due for seat in self._seats if seat.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else 3600.0

    def _bury(self) -> None:
        for process in self._leaving:
            process.kill_if_late()
        self._leaving = [process for process in self._leaving if process.exit_code is None]
        for seat in self._seats:
            if seat.process and seat.process.exit_code is not None:
                self._died(seat, seat.process)
            elif seat.process and not seat.process.look() and seat.process.stuck:
                seat.process.popen.kill()

    def _died(self, seat: _Seat, process: Process) -> None:
        process.forget()
        seat.process = None
        seat.deaths = 1 if time.monotonic() - process.started > SETTLED else seat.deaths + 1
        wait = self._due_again(seat)
        log.error("worker %d died (exit code %s); it is started again in %g s", seat.index, process.exit_code, wait)

    def _start_again(self, seat: _Seat) -> None:
        """A machine that has no room for a process now may have it later; the other workers stay."""
        try:
            seat.process, seat.due = self._start(seat), None
        except OSError as error:
            seat.deaths += 1
            wait = self._due_again(seat)
            log.error("worker %d could not be started: %s; once more in %g s", seat.index, error.strerror, wait)

    @staticmethod
    def _due_again(seat: _Seat) -> float:
        """In how many seconds a worker is started again."""
        wait = wait_after(seat.deaths)
        seat.due = time.monotonic() + wait
        return wait

    def _replace_all(self) -> None:
        """One after the other, each asked to end once its successor serves; where that does not start, the others
        stay."""
        for seat in self._seats:
            try:
                successor = self._start(seat)
            except OSError as error:
                log.error("worker %d can't be replaced: %s", seat.index, error.strerror)
                return
            if not successor.serves(_asked_to_end):
                if not _asked_to_end():
                    log.error("worker %d can't be replaced: it and those after it stay as they are", seat.index)
                self._dismiss(successor)
                return
            self._dismiss(seat.process, REPLACED)
            seat.process, seat.due, seat.deaths = successor, None, 0
            log.info("worker %d was replaced", seat.index)

    def _dismiss(self, process: Process | None, number: signal.Signals = signal.SIGTERM) -> None:
        if process:
            process.end(number)
            self._leaving.append(process)

    def _end_all(self) -> None:
        """Gives each process its time; a second signal ends that."""
        for seat in self._seats:
            self._dismiss(seat.process)
            seat.process = None
        while self._leaving:
            received = signal.sigtimedwait(SIGNALS, _LOOK)
            if received and received.si_signo in ENDING:
                for process in self._leaving:
                    process.end()
            self._bury()

    def _start(self, seat: _Seat) -> Process:
        listener, metrics, scraped = self._listener.fileno(), seat.metrics.fileno(), seat.scraped.fileno()
        return Process.start(lambda ready: self._plan(listener, metrics, scraped, ready, self._life[0]))


def wait_after(deaths: int) -> float:
    """Seconds until a worker is started again that has died so often in a row (from 1)."""
    return 0.0 if deaths == 1 else min(_LONGEST_WAIT, 0.5 * 2.0 ** min(deaths - 2, _DOUBLINGS))


def _asked_to_end() -> bool:
    return bool(signal.sigpending() & ENDING)
