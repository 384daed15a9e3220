"""SIGSTOP beyond the lease at every point of a turn, and SIGCONT when another process has ended it: the one that comes
back writes nothing into the journal and acts no more; what it paid is in the ledger; it ends by itself and says why."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.faults.ending import check
from tests.faults.points import DONE, NOTHING_WRITTEN, POINTS, Place, Point
from tests.faults.scene import PATIENCE, Scene, Undisturbed
from tests.support.books import number
from tests.support.processes import Process


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_another_process_has_ended_it(scene: Scene, point: Point, undisturbed: Undisturbed) -> None:
    process = asyncio.run(_frozen_and_thawed(scene, point.place))
    late = {"correction": 1} if point.late else {}
    check(scene, point, Counter(point.booked) + Counter(late), undisturbed)
    if point.late:
        _check_late(scene, point.late)
    if point.name == DONE:
        assert process.wait() == 0
        assert process.stdout.endswith("answered\n")
    else:
        _assert_it_said_why(process)


def _check_late(scene: Scene, late: str) -> None:
    """What the ledger says in the end of the attempt that was under way."""
    (expiry, correction) = [row for row in scene.ledger() if row["kind"] in ("expiry", "correction")]
    total = number(expiry["cost"]) + number(correction["cost"])
    assert total == 0 or late != "nothing"
    assert correction["quality"] == "measured" or late == "either"
    if late == "measured":
        assert 0 < total < number(expiry["bound"])


def test_nothing_written(scene: Scene, undisturbed: Undisturbed) -> None:
    """It begins its turn when it comes back; others have declared it dead, and one of them goes on with it."""
    process = asyncio.run(_frozen_and_thawed(scene, NOTHING_WRITTEN))
    point = Point("", NOTHING_WRITTEN, 2, {})
    check(scene, point, {"release": 1, "attempt": 2}, undisturbed)
    _assert_it_said_why(process)


def _assert_it_said_why(process: Process) -> None:
    assert process.wait() == 1
    assert '"kind": "taken_over"' in process.stdout
    assert "Traceback" not in process.stderr


async def _frozen_and_thawed(scene: Scene, place: Place) -> Process:
    process = await asyncio.to_thread(scene.reach, place)
    process.freeze()
    async with scene.another() as app:
        await scene.goes_on(app)
        before = _seen(scene)
        process.send("\n")
        scene.let_go()
        process.thaw()
        await asyncio.to_thread(process.wait, PATIENCE)
        if place == NOTHING_WRITTEN:
            await scene.goes_on(app)
        else:
            assert _seen(scene) == before
    return process


def _seen(scene: Scene) -> tuple[object, ...]:
    """What a process that comes back may not change."""
    return scene.turns(), scene.steps(), scene.ran("order_part"), scene.ran("open_ticket"), scene.server.log.count()
