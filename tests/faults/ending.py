"""How a turn that was stopped at a point ends, whatever happened to its process there."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.audit import findings
from tests.faults.points import DONE, Point
from tests.faults.scene import Scene, Undisturbed
from tests.support import books

STEPS = ["m0", "m0.t0", "m0.t1", "m1"]


def check(scene: Scene, point: Point, booked: Mapping[str, int], undisturbed: Undisturbed) -> None:
    assert findings(scene.store, scene.server.log.count()) == []
    assert scene.server.log.count() == point.requests
    assert scene.kinds() == booked
    _check_tools(scene, point)
    _check_answer(scene, point, undisturbed)


def _check_tools(scene: Scene, point: Point) -> None:
    orders, tickets = scene.ran("order_part"), scene.ran("open_ticket")
    assert (len(orders), len(tickets)) == point.ran
    assert len({run["key"] for run in tickets}) == 1, "run again, it has the key that it had"


def _check_answer(scene: Scene, point: Point, undisturbed: Undisturbed) -> None:
    (turn,) = scene.turns()
    assert turn["epoch"] == (1 if point.name == DONE else 3), "queued once and claimed once"
    assert [step["key"] for step in scene.steps()] == STEPS
    states: dict[books.Value, books.Value] = {step["key"]: step["state"] for step in scene.steps()}
    assert states["m0.t0"] == ("unknown" if point.unknown else "answered")
    if point.unknown:
        assert "order_part failed: Outcome unknown" in str(books.said(turn))
        assert "open_ticket says: There is a ticket now" in str(books.said(turn))
        return
    assert books.said(turn) == undisturbed.text
    assert scene.server.log.accesses[-1].input_tokens == undisturbed.input_tokens
