"""Files that can't be a store, each refused with a StoreError that names the file and says why."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from agent.store import schema, sqlite
from agent.store.errors import NoStore, StoreError, StoreNewer
from agent.store.reader import reading
from agent.store.store import Lease, Store
from tests.support.processes import Processes

OPEN = """
import sys
from agent.store.errors import StoreError
from agent.store.store import Lease, Store
import alembic.command, sqlalchemy.dialects.sqlite  # while they can be read
try:
    Store(sys.argv[1], Lease())
except StoreError as error:
    print("StoreError:", error, flush=True)
"""


AS_NOBODY = OPEN.replace("try:", "import os; os.getuid() or os.setuid(65534)\ntry:")


async def made(path: Path) -> None:
    await Store(str(path), Lease()).close()


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store(str(path), Lease())
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("a shopping list\n" * 1000)
    assert "not a database" in refused(path)
    assert path.read_text().startswith("a shopping list")


def test_a_folder(tmp_path: Path) -> None:
    assert "unable to open" in refused(tmp_path)


def test_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't make the store's folder"):
        Store(str(tmp_path / "file/store.db"), Lease())


@pytest.mark.parametrize("table", ["bookmarks", "turn"])
def test_another_programs_database_is_left_alone(tmp_path: Path, table: str) -> None:
    path = tmp_path / "places.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"CREATE TABLE {table} (id INTEGER)")
    assert "another program" in refused(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [(table,)]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_is_its_users_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = Store(str(tmp_path / "new/own/store.db"), Lease())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
        asyncio.run(store.close())
    finally:
        os.umask(before)
    assert modes == {"own": 0o700, "store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_what_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    """A group may share a store."""
    tmp_path.chmod(0o750)
    path = tmp_path / "store.db"
    asyncio.run(made(path))
    path.chmod(0o660)
    asyncio.run(made(path))
    assert [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path, path)] == [0o750, 0o660]


@pytest.mark.parametrize("size", [8_192, 65_536])
def test_a_disk_that_is_full_at_the_first_migration(processes: Processes, tmp_path: Path, size: int) -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    path = tmp_path / "store.db"
    process = processes.python("-c", limited + OPEN, str(path))
    assert str(path) in process.wait_for_line("StoreError: .*")[0]
    assert process.wait() == 0


async def test_newer_schema(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await made(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreNewer, match=f"{path}.*9999.*{schema.HEAD}.*newer version"):
        Store(str(path), Lease())
    with pytest.raises(StoreNewer, match="9999"), reading(str(path)):
        pass


def test_reading_where_there_is_none(tmp_path: Path) -> None:
    for path in (str(tmp_path / "store.db"), ":memory:"):
        with pytest.raises(NoStore, match="nothing has been asked"), reading(path):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("locked", ["file", "folder"])
def test_what_may_not_be_written(processes: Processes, locked: str) -> None:
    """As nobody, for root may write everywhere; so not in pytest's folder, which is its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        if locked == "file":
            asyncio.run(made(path))
            path.chmod(0o444)
        path.parent.chmod(0o555)
        process = processes.python("-c", AS_NOBODY, str(path))
        assert str(path) in process.wait_for_line("StoreError: .*")[0]
        path.parent.chmod(0o755)


def test_a_file_that_can_not_be_opened_says_what_it_needs(tmp_path: Path) -> None:
    """SQLite writes beside the file even where it only reads. In a folder that isn't there, root can't either."""
    with pytest.raises(StoreError, match=r"unable to open database file; the file and its folder must be writable$"):
        sqlite.connect(str(tmp_path / "nowhere/store.db"), read_only=True)
