"""Changes to a store behind its processes' backs, on a connection of one's own."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from agent.store import sqlite, workers
from agent.store.tx import SqliteTx


def reap(path: str | Path) -> None:
    """Queues the turns of processes that are gone; each is due at once, however often it was taken over."""
    with closing(sqlite.connect(str(path))) as connection, sqlite.transaction(connection):
        workers.reap(SqliteTx(connection))
        connection.execute("UPDATE turn SET due_at = 0 WHERE state = 'queued'")


def change_turns(path: str | Path, assignments: str) -> None:
    with closing(sqlite.connect(str(path))) as connection, sqlite.transaction(connection):
        connection.execute(f"UPDATE turn SET {assignments}")
