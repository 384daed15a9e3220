"""The one writer of a process: takes what concurrent turns want and commits each batch as one transaction.

The statements run on the event loop (a batch of sixteen turns takes well under a millisecond), so that nothing waits
for the interpreter lock between BEGIN and COMMIT; a COMMIT that flushes to the disk runs in a thread, and what arrives
meanwhile is the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import replace
from typing import Protocol

from agent.money.account import Granted
from agent.store import sqlite
from agent.store.batch import Batch
from agent.store.errors import StoreBusy, StoreError
from agent.store.tx import SqliteTx
from agent.store.work import Done, Work

log = logging.getLogger(__name__)

LARGEST = 256
"""Works in one transaction at most, so that others get their turn at the file."""

RETRY = 0.5
"""Seconds until a settle that failed is tried again."""


class OnOrphan(Protocol):
    """Told of a hold that was granted to a task which no longer waits for it."""

    def __call__(self, work: Work, granted: Granted) -> None: ...


class Writer:
    """`do` hands in a work and returns what became of it. Works with a settle are kept until they are committed.
    `flushes`: a commit waits for the disk; `inline`: nobody else can be at this store; `check` raises `StoreError`
    where what would be written is lost."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        batch: Batch,
        *,
        flushes: bool,
        inline: bool,
        check: Callable[[], None],
        on_orphan: OnOrphan,
    ) -> None:
        self._tx = SqliteTx(connection)
        self._connection = connection
        self._batch = batch
        self._check = check
        self._on_orphan = on_orphan
        self._queue: deque[tuple[Work, asyncio.Future[Done]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._inline = inline
        self._commit_thread = futures.ThreadPoolExecutor(1, "commit") if flushes else None
        self._unbooked: dict[str, Work] = {}
        self._closing = False

    @property
    def settles_waiting(self) -> int:
        """Settles that failed and are tried again."""
        return len(self._unbooked)

    async def do(self, work: Work) -> Done:
        """Commits `work` with whatever else is waiting. Raises `StoreError`: then nothing of it was written, but a
        settle in it goes on being tried."""
        if self._inline and not self._queue:
            with contextlib.suppress(sqlite3.Error):
                return self._now(work)
        future = self._put(work)
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None:  # answered and cancelled in the same moment
                self._orphaned(work, future.result())
            raise

    def hand_in(self, work: Work) -> None:
        """Commits a work that nobody waits for."""
        self._put(work).add_done_callback(_heard)

    def _put(self, work: Work) -> asyncio.Future[Done]:
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._queue.append((work, future))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._drain())
        return future

    def _now(self, work: Work) -> Done:
        """Nobody else is at a store in memory, and there is no disk to wait for."""
        sqlite.try_begin(self._connection)
        try:
            [done] = self._batch.run(self._tx, [work])
            self._connection.commit()
        except BaseException:
            sqlite.rollback(self._connection)
            self._batch.forget()
            raise
        return done

    async def close(self) -> None:
        """Waits for what was handed in, tries what failed once more, then lets go of the thread."""
        self._closing = True
        try:
            await self._drained()
            for work in tuple(self._unbooked.values()):
                self.hand_in(work)
            await self._drained()
            for attempt in self._unbooked:
                log.error("attempt %s could not be settled: its hold expires, charged at its bound", attempt)
            self._unbooked.clear()
        finally:  # also where the event loop itself ends: nobody may close the connection under the thread
            if self._commit_thread:
                self._commit_thread.shutdown()

    async def _drained(self) -> None:
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _drain(self) -> None:
        try:
            while self._queue:
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST))]
                await self._commit(taken)
        finally:
            self._running = None

    async def _commit(self, taken: Sequence[tuple[Work, asyncio.Future[Done]]]) -> None:
        try:
            results = await self._transaction([work for work, _ in taken])
        except Exception as error:  # noqa: BLE001 - the edge: whatever it was, every waiting turn must hear of it
            if len(taken) == 1 or isinstance(error, StoreBusy):
                for work, future in taken:
                    self._failed(work, future, error)
            else:
                for one in taken:  # whoever is to blame, the others are not
                    await self._commit([one])
            return
        for (work, future), done in zip(taken, results, strict=True):
            self._answer(work, future, done)

    async def _transaction(self, works: Sequence[Work]) -> list[Done]:
        if not sqlite.try_begin(self._connection):
            await sqlite.begin(self._connection)
        try:
            self._check()
            results = self._batch.run(self._tx, works)
            await self._flush()
        except BaseException:
            sqlite.rollback(self._connection)
            self._batch.forget()
            raise
        return results

    async def _flush(self) -> None:
        if self._commit_thread is None:
            self._connection.commit()
            return
        committing = self._commit_thread.submit(self._connection.commit)
        try:
            await asyncio.wrap_future(committing)
        except asyncio.CancelledError:  # the event loop ends; the connection is the thread's until it is done
            futures.wait([committing])
            raise

    def _answer(self, work: Work, future: asyncio.Future[Done], done: Done) -> None:
        if work.settle:
            self._unbooked.pop(work.settle.attempt.id, None)
        if not future.done():
            future.set_result(done)
        else:
            self._orphaned(work, done)

    def _orphaned(self, work: Work, done: Done) -> None:
        if isinstance(done.grant, Granted):
            self._on_orphan(work, done.grant)

    def _failed(self, work: Work, future: asyncio.Future[Done], error: Exception) -> None:
        if not future.done():
            future.set_exception(StoreError(str(error)) if isinstance(error, sqlite3.Error) else error)
        if work.settle is None:
            return
        attempt = work.settle.attempt.id
        log.error("settle of attempt %s failed, will be tried again: %s", attempt, error)
        self._unbooked[attempt] = _without_waiter(work, error)
        asyncio.get_running_loop().call_later(RETRY, self._again, attempt)

    def _again(self, attempt: str) -> None:
        if attempt in self._unbooked and not self._closing:
            self.hand_in(self._unbooked[attempt])


def _without_waiter(work: Work, error: Exception) -> Work:
    """What is tried again of a failed work: no hold, nobody would use it; the journal, unless it is to blame."""
    if isinstance(error, StoreBusy | sqlite3.OperationalError):
        return replace(work, reserve=None)
    return Work(settle=work.settle)


def _heard(future: asyncio.Future[Done]) -> None:
    """Nobody waits for it; `_failed` has logged what became of it."""
    if not future.cancelled():
        future.exception()
