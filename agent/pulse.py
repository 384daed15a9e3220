"""The one background beat of a process, on a thread and a store connection of its own.

It renews this process's lease and the holds of its live attempts, declares silent processes dead and queues their
turns, expires holds, and refreshes what gauges show. A blocked event loop does not stop it; a frozen process does,
and then the guard keeps it from making another paid call or running another tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from agent.clock import boot_time
from agent.store import turns, workers
from agent.store.errors import StoreError
from agent.store.gauges import Gauges
from agent.store.store import Store
from agent.store.tx import Tx
from agent.to_its_end import to_its_end
from telemetry.metrics import Metrics

log = logging.getLogger(__name__)

TICK = 0.25


@dataclass(slots=True)
class _Due:
    """When the next beat and the next look for dead processes are due, on the boot clock."""

    beat: float
    reap: float


class _ClockSet(Exception):
    """The store's clock has gone on by another time than the boot clock."""


class Pulse:
    """`live` are the attempts whose task lives: their holds are renewed. `turns` are those that have a task; each is
    in here before it is begun or claimed."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.live: set[str] = set()
        self.turns: set[str] = set()
        self.gauges = Gauges()
        self._store = store
        self._metrics = metrics
        self._on_queued: Callable[[], None] | None = None
        self._on_dead: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._expiring: asyncio.Task[None] | None = None
        self._good_until = store.entered + store.lease.length - store.lease.margin
        self._apart: float | None = None
        self._beaten = asyncio.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self, *, on_queued: Callable[[], None] | None = None, on_dead: Callable[[], None] | None = None) -> None:
        """`on_queued` is told, on the event loop, that turns wait for someone; `on_dead` that this process was
        declared dead and must stop."""
        self._on_queued, self._on_dead = on_queued, on_dead
        if not self._store.in_memory:
            self._thread.start()
            self._expire()  # a command is often over before the thread comes to it

    async def stop(self) -> None:
        """Ends the beat; once this is over, cancelled or not, nothing of it is at the store."""
        self._stop.set()
        await to_its_end(self._stopped())

    async def _stopped(self) -> None:
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        if self._expiring:
            await self._expiring

    async def guard(self, time_limit: float) -> bool:
        """Waits until this process's lease is surely good: the last thing before a request leaves or a tool runs. False
        where that took over `time_limit` seconds."""
        if self.good():
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(time_limit):
                while not self.good():
                    self._beaten.clear()
                    await self._beaten.wait()
        return self.good()

    def good(self) -> bool:
        """Whether others surely take this process for alive: it may make a paid call or run a tool."""
        return self._store.in_memory or boot_time() <= self._good_until

    def _run(self) -> None:
        lease = self._store.lease
        beaten = boot_time()
        due = _Due(beaten + lease.beat, beaten)
        while not self._stop.wait(TICK):
            now = boot_time()
            try:
                if now >= due.beat:
                    due.beat = now + (lease.beat if self._beat(now) else TICK)
                    if boot_time() - beaten > lease.length - lease.beat - TICK:
                        # A gap of our own that others have had, too, who may have beaten last just before they had to.
                        due.reap = boot_time() + lease.length
                    beaten = now
                if now >= due.reap:
                    self._reap()
                    due.reap = now + lease.reap
            except _ClockSet:
                log.warning("pulse: the clock of the store was set; no process is declared dead for %g s", lease.length)
                self._apart = None
                due.beat, due.reap = now, boot_time() + lease.length
            except StoreError as error:
                log.warning("pulse: %s", error)
            except Exception:  # the edge: without its pulse this process is declared dead
                log.exception("pulse")
        with contextlib.suppress(StoreError):  # so that the last export shows the books as they are in the end
            self._refresh()

    def _beat(self, now: float) -> bool:
        alive = self._store.pulse(self._renew)
        if alive:
            self._good_until = now + self._store.lease.length - self._store.lease.margin
            self._tell(self._beaten.set)
        else:
            log.error("this process was declared dead: its lease ran out, and its turns go on elsewhere")
            self._tell(self._on_dead)
            self._stop.set()
        return alive

    def _renew(self, tx: Tx) -> bool:
        self._compare_clocks(tx)
        return workers.beat(tx, self._store.worker, tuple(self.live), self._store.lease.micros)

    def _compare_clocks(self, tx: Tx) -> None:
        """Leases are kept by the store's clock. Once it was set, all of them say something else than they were to,
        until everybody has beaten by the new time. Raises `_ClockSet`."""
        apart = tx.now() / 1e6 - boot_time()
        if self._apart is not None and abs(apart - self._apart) > self._store.lease.margin:
            raise _ClockSet
        self._apart = apart

    def _reap(self) -> None:
        if self._store.pulse(self._reap_and_look):
            self._tell(self._on_queued)
        if not self._stop.is_set():
            self._tell(self._expire)
        self._refresh()
        self._store.checkpoint()

    def _refresh(self) -> None:
        self._store.look(self.gauges.refresh)

    def _reap_and_look(self, tx: Tx) -> bool:
        self._compare_clocks(tx)
        workers.reap(tx)
        workers.let_go(tx, self._store.worker, self.turns)
        return bool(turns.queued(tx, tx.now()))

    def _expire(self) -> None:
        """On the event loop: expiry writes ledger rows, and those go through the one writer."""
        if self._expiring is None or self._expiring.done():
            self._expiring = self._loop.create_task(self._expire_now())

    async def _expire_now(self) -> None:
        try:
            while expired := (await self._store.expire()).expired:
                for attempt in expired:
                    self._metrics.expired(attempt)
                    log.warning("hold of attempt %s expired: its owner is gone; charged at its bound", attempt.id)
        except StoreError as error:
            log.warning("pulse: holds could not be expired: %s", error)

    def _tell(self, what: Callable[[], object] | None) -> None:
        if what and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)
