"""The store: everything that outlives a process. One writer, one reader, and the pulse's own connection."""

from __future__ import annotations

import contextlib
import logging
import platform
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uuid_utils
from sqlalchemy.exc import DBAPIError

from agent.clock import boot_time
from agent.money.account import Granted
from agent.store import accounts, file, ledger, schema, sqlite, workers
from agent.store.batch import Batch
from agent.store.errors import StoreError
from agent.store.sqlite import MEMORY, Synchronous
from agent.store.tx import SqliteTx, Tx
from agent.store.work import Claim, Done, Expire, Settle, Work
from agent.store.writer import Writer
from agent.to_its_end import to_its_end
from telemetry.attempt import Attempt
from telemetry.pricing import Cost

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lease:
    """Seconds. A process that has not beaten for `length` is dead to the others; it beats every `beat`, looks for dead
    ones every `reap`, and makes no call in the last fifth of its lease. Longer than the longest stall of a disk."""

    length: float = 15.0
    beat: float = 5.0
    reap: float = 1.0

    @property
    def margin(self) -> float:
        return self.length / 5

    @property
    def micros(self) -> int:
        return int(self.length * 1e6)


class Store:
    """An open store. `do` writes, `read` reads what is committed; `beat`, `reap` and `leave` are the pulse's."""

    def __init__(self, path: str, lease: Lease, synchronous: Synchronous = "FULL") -> None:
        self.path = path
        self.lease = lease
        self.worker = str(uuid_utils.uuid7())
        self._write = _open(path, synchronous)
        self._shared = self._write if path == MEMORY else None
        self._read = self._shared or sqlite.connect(path)
        self._pulse = self._shared or sqlite.connect(path, synchronous=synchronous)
        self._pulse_lock = threading.Lock()
        self._check = file.Watched(Path(path)).check if path != MEMORY else _nothing
        batch = Batch(self.worker, lease.micros)
        flushes = path != MEMORY and synchronous == "FULL"
        self._writer = Writer(
            self._write, batch, flushes=flushes, inline=path == MEMORY, check=self._check, on_orphan=self._release
        )
        self._read_tx, self._pulse_tx = SqliteTx(self._read), SqliteTx(self._pulse)
        self.entered = boot_time()
        self.pulse(self._enter)

    def _enter(self, tx: Tx) -> None:
        workers.enter(tx, self.worker, platform.node(), self.lease.micros)
        ledger.new_writer(tx, self.worker)

    async def do(self, work: Work) -> Done:
        """Commits a work. Raises `StoreError`, then nothing of it was written."""
        return await self._writer.do(work)

    async def read(self, query: Callable[[Tx], T]) -> T:
        """Runs a query over committed rows. On the calling thread: a point read takes microseconds."""
        try:
            return query(self._read_tx)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def pulse(self, change: Callable[[Tx], T]) -> T:
        """A transaction of the pulse, on its own thread and connection."""
        with self._of_pulse() as connection, sqlite.transaction(connection):
            self._check()
            return change(self._pulse_tx)

    def look(self, query: Callable[[Tx], T]) -> T:
        """A query of the pulse, on its own thread and connection, outside any lock."""
        with self._of_pulse():
            return query(self._pulse_tx)

    def erase(self, change: Callable[[Tx], T]) -> T:
        """A transaction that removes what was said, from the file's free pages and from its log as well."""
        with self._of_pulse() as connection:
            connection.execute("PRAGMA secure_delete=ON")
        done = self.pulse(change)
        with self._of_pulse() as connection:
            sqlite.empty_log(connection)
        return done

    def checkpoint(self) -> None:
        """Moves what is committed from the log into the file; kept off the writers' commits."""
        if self._shared is None:
            with self._of_pulse() as connection:
                sqlite.checkpoint(connection)

    @contextlib.contextmanager
    def _of_pulse(self) -> Iterator[sqlite3.Connection]:
        """The pulse's connection; whoever closes it waits until it is given back, for SQLite would crash."""
        with self._pulse_lock:
            try:
                yield self._pulse
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}") from error

    async def expire(self) -> Done:
        """Ends the holds whose lease is over."""
        return await self._writer.do(Work(expire=Expire()))

    async def claim(self, turn: str) -> int | None:
        """Takes over a queued turn: its new epoch, None where that was not to be."""
        return (await self._writer.do(Work(claim=Claim(turn)))).epoch

    def _release(self, work: Work, granted: Granted) -> None:
        """Ends a hold that nobody waits for any more: its call was never made."""
        assert work.reserve
        call, number, trace_id = accounts.read_dims(work.reserve.dims)
        attempt = Attempt(
            id=work.reserve.attempt,
            call=call,
            number=number,
            started=granted.at,
            ended=granted.at,
            duration=0.0,
            held_nano_usd=granted.bound,
            cost=Cost(0, "measured", "not billed"),
            error_type="cancelled",
            trace_id=trace_id,
        )
        self._writer.hand_in(Work(settle=Settle(attempt, "release")))

    @property
    def settles_waiting(self) -> int:
        return self._writer.settles_waiting

    @property
    def in_memory(self) -> bool:
        return self._shared is not None

    async def close(self) -> None:
        """Hands in what is waiting, leaves the list of live processes, closes the file. Cancelled, it does so first."""
        try:
            await to_its_end(self._writer.close())
        finally:
            self._leave()
            with self._pulse_lock:
                for connection in {self._write, self._read, self._pulse}:
                    connection.close()

    def _leave(self) -> None:
        try:
            self.pulse(lambda tx: workers.leave(tx, self.worker))
        except StoreError as error:
            log.warning("this process could not sign off, others wait for its lease to run out: %s", error)


def _nothing() -> None:
    """Nobody can replace what is in memory."""


def _open(path: str, synchronous: Synchronous) -> sqlite3.Connection:
    if path != MEMORY:
        file.make(Path(path))
    connection = sqlite.connect(path, synchronous=synchronous)
    try:
        schema.upgrade(connection, path)
        connection.execute("PRAGMA wal_autocheckpoint=0")
    except (sqlite3.Error, DBAPIError) as error:  # the second one is what the migrations' own library makes of it
        connection.close()
        raise StoreError(f"{path}: {error.orig if isinstance(error, DBAPIError) else error}") from error
    except BaseException:
        connection.close()
        raise
    return connection
