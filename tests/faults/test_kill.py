"""`kill -9` at every point of a turn, then another process: the turn ends as if nothing had happened."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.ending import check
from tests.faults.points import DONE, NOTHING_WRITTEN, POINTS, Point
from tests.faults.scene import Scene, Undisturbed


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_another_process_goes_on(scene: Scene, point: Point, undisturbed: Undisturbed) -> None:
    scene.reach(point.place).kill()
    scene.let_go()
    asyncio.run(_go_on(scene))
    check(scene, point, point.booked, undisturbed)
    assert [result.outcome for result in scene.results] == ([] if point.name == DONE else ["answered"])


def test_nothing_written(scene: Scene) -> None:
    scene.reach(NOTHING_WRITTEN).kill()
    asyncio.run(_go_on(scene))
    assert (scene.turns(), scene.kinds(), scene.server.log.count()) == ([], {}, 0)


async def _go_on(scene: Scene) -> None:
    async with scene.another() as app:
        await scene.goes_on(app)
