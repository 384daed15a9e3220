"""The store's schema version: what this program needs, what a file has, and the way from one to the other."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, StaticPool, create_engine

from agent.store import sqlite
from agent.store.errors import StoreError, StoreNewer

FIRST = "0002"
"""The oldest schema that was ever released."""

HEAD = "0002"
"""The newest migration; a test compares it with the scripts."""


def upgrade(connection: sqlite3.Connection, name: str) -> None:
    """Brings a file to `HEAD`, in one transaction. Raises `StoreNewer` when the file is ahead of this program, and
    `StoreError` when it is another program's, or older than the first release."""
    if _version(connection) == HEAD:
        return
    with _borrowed(connection) as handed, sqlite.transaction(connection):
        version = _version(connection)
        _refuse_unknown(version, name)
        if version is None and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StoreError(f"{name}: this is the database of another program")
        if version != HEAD:
            _run(handed)


def check(connection: sqlite3.Connection, name: str) -> None:
    """For those who only read: raises `StoreNewer`, and `StoreError` when the file has yet to be upgraded."""
    version = _version(connection)
    _refuse_unknown(version, name)
    if version != HEAD:
        raise StoreError(f"{name}: the store has schema {version}, not {HEAD}; `agent resume` upgrades it")


def _refuse_unknown(version: str | None, name: str) -> None:
    if version is not None and version < FIRST:
        raise StoreError(f"{name}: this store was made by a version before the first release; remove the file {name}")
    if version is not None and version > HEAD:
        raise StoreNewer(
            f"{name}: the store has schema {version}, this program knows up to {HEAD}; use a newer version of it"
        )


def _version(connection: sqlite3.Connection) -> str | None:
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
    return str(row[0]) if row else None


@contextlib.contextmanager
def _borrowed(connection: sqlite3.Connection) -> Iterator[Connection]:
    """The driver's connection as one of SQLAlchemy's that begins nothing: the caller has taken the write lock."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_reset_on_return=None,
    )
    with engine.connect() as handed:
        yield handed


def _run(handed: Connection) -> None:
    # Alembic costs 0.4 s to import: only when there is something to do.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = handed
    command.upgrade(config, HEAD)
