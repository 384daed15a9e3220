"""Who is dead, and what a process may still do that is not sure to live."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from agent.store import sqlite, workers
from agent.store.tx import SqliteTx
from tests.faults.audit import findings
from tests.faults.points import Place
from tests.faults.scene import PATIENCE, Scene, asks_for_tools
from tests.support import books
from tests.support.books import number

pytestmark = pytest.mark.parametrize("stream", [True], indirect=True)

A_WHILE = 0.3
"""Seconds. A request that nothing holds back is out within a few milliseconds."""


@contextmanager
def locked(scene: Scene) -> Iterator[sqlite3.Connection]:
    """Nobody else can write: every pulse waits for the lock."""
    with closing(sqlite.connect(str(scene.store))) as connection, sqlite.transaction(connection):
        yield connection


def let_lapse(scene: Scene) -> None:
    """Waits until all leases are over."""
    until = max(number(row["lease_until"]) for row in books.table(scene.store, "worker"))
    time.sleep(max(0.0, until / 1e6 - time.time()) + 0.01)


def test_no_request_leaves_before_the_next_beat(scene: Scene) -> None:
    process = scene.reach(Place("after 1"))
    scene.server.faults.push(asks_for_tools(scene.stream))
    with locked(scene):
        let_lapse(scene)
        process.send("\n")
        time.sleep(A_WHILE)
        released = time.time()
    assert process.wait(PATIENCE) == 0
    assert scene.server.log.accesses[0].at > released
    (turn,) = scene.turns()
    assert (turn["outcome"], turn["epoch"]) == ("answered", 1)
    assert findings(scene.store, 2) == []


@pytest.mark.parametrize("place", [Place("after 1"), Place("after 2")], ids=["a request", "tools"])
def test_nothing_is_done_after_being_declared_dead(scene: Scene, place: Place) -> None:
    """Not frozen: its pulse alone can't get at the store."""
    process = scene.reach(place)
    requests = scene.server.log.count()
    with locked(scene) as connection:
        let_lapse(scene)
        process.send("\n")
        time.sleep(A_WHILE)
        workers.reap(SqliteTx(connection))
    assert process.wait(PATIENCE) == 1
    assert '"kind": "taken_over"' in process.stdout
    (turn,) = scene.turns()
    assert (turn["state"], turn["epoch"]) == ("queued", 2)
    assert scene.server.log.count() == requests
    assert scene.ran("order_part") == scene.ran("open_ticket") == []
    assert scene.kinds() == ({"attempt": 1} if requests else {"release": 1})
    assert books.table(scene.store, "hold") == []


def test_after_a_gap_of_its_own_it_buries_nobody(scene: Scene) -> None:
    """A lid is closed over two processes, and one of them wakes up first."""
    asking = scene.reach(Place(request=1))
    watching = scene.driver()
    watching.wait_for_line("ready")
    asking.freeze()
    watching.freeze()
    let_lapse(scene)
    leases = _leases(scene)
    watching.thaw()
    while _leases(scene) == leases:
        time.sleep(0.005)
    asking.thaw()
    scene.let_go()
    assert asking.wait(PATIENCE) == 0
    watching.send("\n")
    assert watching.wait(PATIENCE) == 0
    (turn,) = scene.turns()
    assert (turn["outcome"], turn["epoch"]) == ("answered", 1)
    assert scene.server.log.count() == 2


def _leases(scene: Scene) -> list[books.Value]:
    return [row["lease_until"] for row in books.table(scene.store, "worker", "id")]
