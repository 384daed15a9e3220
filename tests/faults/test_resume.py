"""`agent resume`, once and twice at a time, and turns whose second process dies as well."""

from __future__ import annotations

import asyncio
import json

import pytest

from agent.types import Json
from tests.faults.audit import findings
from tests.faults.ending import check
from tests.faults.points import POINTS, Place, Point
from tests.faults.scene import PATIENCE, Scene, Undisturbed, asks_for_tools
from tests.support import books
from tests.support.processes import Process
from tests.support.until import until

CHOSEN = [
    point for point in POINTS if point.name in ("in reply 1", "in order_part", "tools journaled, request 2 not sent")
]
TURNS = 6


def document(process: Process) -> dict[str, Json]:
    assert process.wait() == 0, process.stderr
    found = json.loads(process.stdout)
    assert isinstance(found, dict)
    return found


def resumed(process: Process) -> list[str]:
    """The ids of the turns that it ended."""
    turns = document(process)["turns"]
    assert isinstance(turns, list)
    return [str(turn["turn_id"]) for turn in turns if isinstance(turn, dict) and turn["outcome"] == "answered"]


@pytest.mark.parametrize("point", CHOSEN, ids=lambda point: point.name)
def test_the_command(scene: Scene, point: Point, undisturbed: Undisturbed) -> None:
    scene.reach(point.place).kill()
    scene.let_go()
    scene.free_tools()
    if not scene.steps():
        scene.server.faults.push(asks_for_tools(scene.stream))
    assert resumed(scene.resuming()) == [turn["id"] for turn in scene.turns()]
    asyncio.run(_expire(scene))
    check(scene, point, point.booked, undisturbed)


async def _expire(scene: Scene) -> None:
    """A hold may outlive its process for as long as a lease; whoever lives then ends it."""
    async with scene.another() as app:
        await scene.goes_on(app)


@pytest.mark.parametrize("stream", [True], indirect=True)
def test_each_turn_is_run_by_one(scene: Scene) -> None:
    """Many turns of one dead process, all in a tool. Two go on with them; the second finds those done that the first
    was not held in, and leaves that one to it."""
    scene.server.faults.push(*[asks_for_tools(scene.stream)] * TURNS)
    scene.hold("order_part")
    dead = scene.asking("--turns", str(TURNS))
    asyncio.run(until(lambda: len(scene.ran("order_part")) == TURNS))
    dead.kill()
    scene.let_go()
    scene.free_tools()
    assert len(scene.steps()) == 3 * TURNS
    gate = scene.server.gate()
    first = scene.resuming()
    gate.wait_arrived(PATIENCE)
    rest = resumed(scene.resuming())
    gate.release()
    assert sorted([*resumed(first), *rest]) == sorted(str(turn["id"]) for turn in scene.turns())
    assert {turn["epoch"] for turn in scene.turns()} == {3}
    assert scene.server.log.count() == 2 * TURNS
    assert scene.kinds() == {"attempt": 2 * TURNS}
    assert findings(scene.store, 2 * TURNS) == []


def test_the_second_process_dies_as_well(scene: Scene) -> None:
    """The first in a tool, the second within the reply after it, which had been told that the outcome is unknown."""
    first = scene.reach(Place(tool="order_part"))
    first.kill()
    scene.let_go()
    scene.free_tools()
    gate = scene.server.gate(1)
    second = scene.driver()
    gate.wait_arrived(PATIENCE)
    second.kill()
    gate.release()
    asyncio.run(_expire(scene))
    (turn,) = scene.turns()
    assert (turn["outcome"], turn["epoch"]) == ("answered", 5)
    assert scene.server.log.count() == 3
    assert scene.kinds() == {"attempt": 2, "expiry": 1}
    assert (len(scene.ran("order_part")), len(scene.ran("open_ticket"))) == (1, 2)
    assert {str(step["key"]): step["state"] for step in scene.steps()}["m0.t0"] == "unknown"
    assert findings(scene.store, 3) == []


def test_a_turn_of_a_living_process_is_left_to_it(scene: Scene) -> None:
    process = scene.reach(Place(request=1))
    assert document(scene.resuming()) == {"turns": [], "left": []}
    scene.let_go()
    assert process.wait() == 0
    (turn,) = scene.turns()
    assert (turn["outcome"], turn["epoch"]) == ("answered", 1)
    assert books.total(scene.ledger(), "epoch") == 2
