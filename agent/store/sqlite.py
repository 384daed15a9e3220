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
from typing import Literal

from agent.store.errors import StoreBusy, StoreError

Synchronous = Literal["FULL", "NORMAL"]

MEMORY = ":memory:"
DEADLINE = 5.0
"""Seconds to wait for another process's transaction."""

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
                raise StoreError(f"{path}: {error}") from error
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
