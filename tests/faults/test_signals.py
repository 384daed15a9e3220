"""Ctrl-C and SIGTERM at every point of a turn: it is ended and paid for, and nothing of it is left for others."""

from __future__ import annotations

import signal

import pytest

from tests.faults.audit import findings
from tests.faults.points import DONE, NOTHING_WRITTEN, POINTS
from tests.faults.scene import PATIENCE, Scene

pytestmark = pytest.mark.parametrize("stream", [True], indirect=True)

PLACES = {"nothing written": NOTHING_WRITTEN, **{point.name: point.place for point in POINTS}}
INTERRUPTED, TERMINATED = (signal.SIGINT, 130), (signal.SIGTERM, 143)
CASES = [*((name, *INTERRUPTED) for name in PLACES), ("in reply 2", *TERMINATED), ("in order_part", *TERMINATED)]


@pytest.mark.parametrize(("name", "number", "code"), CASES)
def test_it_is_ended(scene: Scene, name: str, number: signal.Signals, code: int) -> None:
    process = scene.reach(PLACES[name])
    process.send_signal(number)
    process.send("\n")
    assert process.wait(PATIENCE) == code
    assert "Traceback" not in process.stderr
    # Its last transaction is handed in before anything can be cancelled.
    outcome = "answered" if name in ("reply 2 not journaled", DONE) else "cancelled"
    assert findings(scene.store, scene.server.log.count(), outcome) == []
    assert len(scene.turns()) == 1
    assert "expiry" not in scene.kinds()
