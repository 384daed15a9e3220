"""The migrations make what the tables say, and the program knows the newest of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from agent.money.account import EVERYTHING, TURN
from agent.store import schema, sqlite
from agent.store.errors import NoStore, StoreError, StoreNewer
from agent.store.reader import reading
from agent.store.sqlite import MEMORY
from agent.store.tables import budget, metadata
from tests.support.processes import ROOT


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture(name="connection")
def _connection(path: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite.connect(path)
    schema.upgrade(connection, path)
    yield connection
    connection.close()


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "agent/store/migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


@pytest.mark.usefixtures("connection")
def test_the_migrated_schema_is_that_of_the_tables(path: str) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_same_to_the_letter(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """What Alembic doesn't compare: STRICT, conditions of indexes, NOT NULL, the order of columns."""
    made = sqlite3.connect(tmp_path / "made.db")
    engine = create_engine("sqlite://", creator=lambda: made)
    metadata.create_all(engine)
    query = (
        "SELECT name, sql FROM sqlite_master"
        " WHERE type <> 'trigger' AND name NOT LIKE 'alembic%' AND sql IS NOT NULL ORDER BY name"
    )
    migrated = [(name, " ".join(sql.split())) for name, sql in connection.execute(query)]
    assert migrated == [(name, " ".join(sql.split())) for name, sql in made.execute(query)]
    engine.dispose()
    made.close()


def test_upgrading_again_changes_nothing(connection: sqlite3.Connection, path: str) -> None:
    before = connection.total_changes
    schema.upgrade(connection, path)
    assert connection.total_changes == before


def test_a_store_of_a_newer_program_is_refused(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreNewer, match="9999"):
        schema.upgrade(connection, path)
    with pytest.raises(StoreNewer, match="9999"), reading(path):
        pass


def test_a_store_from_before_the_first_release_is_refused(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("UPDATE alembic_version SET version_num = '0001'")
    before = connection.total_changes
    with pytest.raises(StoreError, match=f"before the first release; remove the file {path}"):
        schema.upgrade(connection, path)
    with pytest.raises(StoreError, match="before the first release"), reading(path):
        pass
    assert connection.total_changes == before


def test_budgets_are_said_in_canonical_json(connection: sqlite3.Connection) -> None:
    specs = connection.execute("SELECT id, spec FROM budget ORDER BY id").fetchall()
    assert [number for number, _ in specs] == [EVERYTHING, TURN]
    for _, spec in specs:
        said = json.loads(spec)
        assert sorted(said) == ["match", "scope", "unit", "window"]
        assert json.dumps(said, sort_keys=True, separators=(",", ":")) == spec


def test_a_budgets_id_is_given_never_counted() -> None:
    """Two are there from the beginning, of which a sequence would know nothing."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert "id BIGINT NOT NULL" in str(CreateTable(budget).compile(dialect=dialect))


def test_a_process_enters_without_a_generation(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO worker (id, host, started_at, lease_until, state) VALUES ('w', 'h', 1, 2, 'live')")
    assert connection.execute("SELECT generation FROM worker").fetchone() == (0,)


def test_readers_do_not_upgrade(path: str) -> None:
    sqlite.connect(path).close()
    with pytest.raises(StoreError, match="agent resume"), reading(path):
        pass


@pytest.mark.parametrize("missing", [MEMORY, "nowhere.db"])
def test_readers_make_no_store(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoStore), reading(missing):
        pass
    assert list(tmp_path.iterdir()) == []
