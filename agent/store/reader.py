"""Reading a store without being one of its processes: no worker row, no lease, no lock on anybody's writing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.store import schema, sqlite
from agent.store.errors import NoStore, StoreError
from agent.store.sqlite import MEMORY
from agent.store.tx import SqliteTx, Tx


@contextlib.contextmanager
def reading(path: str) -> Iterator[Tx]:
    """What is committed at this moment, the same for every query. Raises `NoStore`, `StoreNewer` and `StoreError`."""
    if path == MEMORY or not Path(path).exists():
        raise NoStore(f"{path}: nothing has been asked in this store yet")
    connection = sqlite.connect(path, read_only=True)
    try:
        connection.execute("BEGIN")
        schema.check(connection, path)
        yield SqliteTx(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()
