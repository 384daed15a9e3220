"""SQLite: opening the file, its settings, and the wait for its write lock.

SQLite's own busy handler starves under load (p99 up to sixteen times worse), so it is off and `begin` asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from agent.store.errors import StoreBusy, StoreError

Synchronous = Literal["FULL", "NORMAL"]

MEMORY = ":memory:"
DEADLINE = 5.0
"""Seconds to wait for another process's transaction."""

LONG_LOG = 4096
"""Pages, of 4 KiB."""

_TRIES = 200
"""To find a moment without a writer or reader; the next checkpoint tries again."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: str, *, synchronous: Synchronous = "FULL", read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used by one thread at a time. Raises `StoreError` with the file's name."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            return _connect(path, synchronous, read_only)
        except sqlite3.OperationalError as error:
            # A process that closes the file locks it for a moment.
            if not is_busy(error) or time.monotonic() > until:
                raise StoreError(f"{path}: {error}{_remedy(error)}") from error
            time.sleep(_pause())
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: {error}; is this a store of this program?") from error


def _connect(path: str, synchronous: Synchronous, read_only: bool) -> sqlite3.Connection:
    target = path if path == MEMORY else f"{Path(path).absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(target, uri=path != MEMORY, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except BaseException:
        connection.close()
        raise
    return connection


def _remedy(error: sqlite3.Error) -> str:
    unwritable = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return "; the file and its folder must be writable" if unwritable else ""


def is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in _BUSY


async def begin(connection: sqlite3.Connection) -> None:
    """Takes the write lock, waiting on the event loop."""
    until = time.monotonic() + DEADLINE
    while not try_begin(connection):
        if time.monotonic() > until:
            raise StoreBusy(f"another process held the store for over {DEADLINE:g} s")
        await asyncio.sleep(_pause())


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A write transaction on a thread of its own: waits by sleeping, commits, or rolls back."""
    until = time.monotonic() + DEADLINE
    while not try_begin(connection):
        if time.monotonic() > until:
            raise StoreBusy(f"another process held the store for over {DEADLINE:g} s")
        time.sleep(_pause())
    try:
        yield connection
        connection.commit()  # nothing to do where a migration has committed itself
    except BaseException:
        rollback(connection)
        raise


def checkpoint(connection: sqlite3.Connection) -> None:
    """Moves what is committed from the log into the file, on a thread of its own.

    The log begins anew only where a checkpoint has reached its end, so beside writers that never pause it would grow
    for ever. Once it is long, they are kept out for the few pages that were written meanwhile.
    """
    if _checkpoint(connection, "PASSIVE").pages < LONG_LOG:
        return
    for _ in range(_TRIES):
        if not _checkpoint(connection, "RESTART").busy:
            return
        time.sleep(_pause())


def empty_log(connection: sqlite3.Connection) -> None:
    """Moves all that is committed into the file and leaves an empty log. Raises `StoreBusy`."""
    until = time.monotonic() + DEADLINE
    while _checkpoint(connection, "TRUNCATE").busy:
        if time.monotonic() > until:
            raise StoreBusy("other processes keep the store's log from being emptied; try again when they are idle")
        time.sleep(_pause())


class _Checkpointed(NamedTuple):
    busy: int
    pages: int
    moved: int


def _checkpoint(connection: sqlite3.Connection, mode: Literal["PASSIVE", "RESTART", "TRUNCATE"]) -> _Checkpointed:
    [row] = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    return _Checkpointed(*row)


def rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def try_begin(connection: sqlite3.Connection) -> bool:
    """Takes the write lock if it is free."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return False
    return True


def _pause() -> float:
    return random.uniform(0.00025, 0.00075)
