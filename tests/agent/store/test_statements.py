"""Every statement of the program, for both engines; and none that reads a whole table which grows for ever."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

import agent.memory
import agent.store
from agent.store import accounts, balances, beginning, schema, totals, turns, tx, underway, workers
from agent.store.sqlite import connect
from agent.store.tx import IDS

OTHERS = ["agent.takeover"]
DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call]
}


def statements() -> Iterator[tuple[str, ClauseElement]]:
    packages = [agent.store, agent.memory]
    names = [module.name for p in packages for module in pkgutil.iter_modules(p.__path__, f"{p.__name__}.")]
    for name in [*names, *OTHERS]:
        for symbol, value in vars(importlib.import_module(name)).items():
            if isinstance(value, Executable) and isinstance(value, ClauseElement):
                yield f"{name}.{symbol}", value


ALL = dict(statements())
PERIODIC = [
    workers._BEAT,
    workers._BURY,
    workers._TAKE_BACK,
    workers._OWN,
    turns._QUEUED,
    accounts._LAPSED,
    balances._BALANCE,
    underway._LEASES,
]
OF_EVERY_TURN = [
    beginning._NTH_YOUNGEST,
    beginning._OPEN_OF_CALLER,
    beginning._OPEN,
    beginning._NEXT_ORDINAL,
    beginning._KNOWN,
    turns._FENCE,
    turns._CLAIM,
    turns._FINISH,
    accounts._FIND_COUNTER,
    accounts._LOCK_COUNTERS,
]


@pytest.fixture(name="file")
def _file(path: str) -> Iterator[sqlite3.Connection]:
    connection = connect(path)
    schema.upgrade(connection, path)
    yield connection
    connection.close()


def test_there_are_some() -> None:
    assert len(ALL) > 50


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@pytest.mark.parametrize("name", ALL)
def test_compiles(name: str, dialect: Dialect) -> None:
    assert str(ALL[name].compile(dialect=dialect))


@pytest.mark.parametrize("statement", [*PERIODIC, *OF_EVERY_TURN, totals._ADD])
def test_finds_its_rows_by_an_index(file: sqlite3.Connection, statement: ClauseElement) -> None:
    """A partial index counts only where the statement spells its condition out."""
    binds = statement.compile(dialect=DIALECTS["sqlite"]).binds  # type: ignore[attr-defined]
    compiled = tx._compile(statement, sqlite.dialect(paramstyle="qmark"), int(IDS in binds))
    plan = file.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", [1] * compiled.sql.count("?")).fetchall()
    scans = [detail for *_, detail in plan if detail.startswith("SCAN") and "USING" not in detail]
    assert scans == []


def test_a_fence_is_checked_and_locked_by_the_database() -> None:
    """PostgreSQL looks at the row once more when it gets the lock: the epoch must be a part of what it looks for."""
    text = " ".join(str(turns._FENCE.compile(dialect=DIALECTS["postgresql"])).split())
    assert re.search(r"WHERE turn\.id IN .* AND turn\.epoch = .* AND turn\.state = 'running' ORDER BY turn\.id", text)
    assert text.endswith("FOR UPDATE")
