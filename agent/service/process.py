"""A worker process as its supervisor sees it: started, serving, asked to end, ended."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.service.plan import Plan

log = logging.getLogger(__name__)

STARTING = 60.0
"""Seconds that a worker may take until it serves."""

ENDS_WITHIN = 12.0
"""Seconds that a worker gets beyond its turns' time: for connections, the last telemetry, the store."""

REPLACED = signal.SIGUSR1
"""Asks a worker that serves to end because there is another one in its place: it takes no more connections."""


@dataclass(slots=True)
class Process:
    """`ready` is where it says that it serves, None once it has. Times are monotonic. `drain_seconds` is what its turns
    get when it is asked to end, None before it serves; `killed_at` is set from then on."""

    popen: subprocess.Popen[bytes]
    started: float
    ready: int | None
    drain_seconds: float | None = None
    killed_at: float | None = None

    @staticmethod
    def start(plan: Callable[[int], Plan]) -> Process:
        """`plan` makes it from the descriptor on which the worker says that it serves. Raises OSError."""
        ready, write = os.pipe()
        made = plan(write)
        command = [sys.executable, "-m", "agent.cli.worker", made.text()]
        try:
            popen = subprocess.Popen(command, pass_fds=made.fds, stdin=subprocess.DEVNULL)
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(write)
        return Process(popen, time.monotonic(), ready)

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self.popen.poll()

    def serves(self, interrupted: Callable[[], bool]) -> bool:
        """Waits until it does; False where it has ended, takes too long, or `interrupted` says so."""
        while not interrupted() and not self.stuck:
            if self.look(0.1):
                return self.drain_seconds is not None
        return False

    @property
    def stuck(self) -> bool:
        """It should serve by now."""
        return self.ready is not None and time.monotonic() - self.started > STARTING

    def look(self, seconds: float = 0.0) -> bool:
        """Hears what it says of itself; whether there is nothing more to hear."""
        if self.ready is not None and select.select([self.ready], [], [], seconds)[0]:
            said = os.read(self.ready, 64)
            self.drain_seconds = float(said) if said else None
            self.forget()
        return self.ready is None

    def forget(self) -> None:
        """It is not listened to any more."""
        if self.ready is not None:
            os.close(self.ready)
            self.ready = None

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to end. Asked again, it ends at once."""
        if self.killed_at is None:
            self.killed_at = time.monotonic() + (self.drain_seconds or 0.0) + ENDS_WITHIN
        if self.exit_code is None:
            self.popen.send_signal(number)

    def kill_if_late(self) -> None:
        if self.killed_at is not None and time.monotonic() > self.killed_at and self.exit_code is None:
            log.error("process %d did not end in time and is killed", self.popen.pid)
            self.popen.kill()
            self.popen.wait()
