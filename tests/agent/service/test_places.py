"""How many turns run at once, who waits for a moment, and who is told to come back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.service.shapes import ServiceFile
from tests.support.serving import serving
from tests.support.until import until


async def test_a_full_house(tmp_path: Path) -> None:
    async with serving(tmp_path, options=ServiceFile(turns=1, waiting=1)) as desk:
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask("one"))
        await gate.arrived()
        second = asyncio.create_task(desk.ask("two"))
        await until(lambda: desk.service.places.waiting == 1)
        third = await desk.ask("three")
        assert (third.status, third.error["code"]) == (503, "overloaded")
        assert int(third.headers["retry-after"]) > 0
        gate.release()
        assert [(await each).status for each in (first, second)] == [200, 200]
        assert len(desk.turns()) == 2


async def test_draining(tmp_path: Path) -> None:
    """Nobody who was waiting in line begins, either."""
    async with serving(tmp_path, options=ServiceFile(turns=1, waiting=1)) as desk:
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask("one"))
        await gate.arrived()
        second = asyncio.create_task(desk.ask("two"))
        await until(lambda: desk.service.places.waiting == 1)
        assert (await desk.get("/readyz")).status == 200
        desk.service.draining = True
        third = await desk.ask("three")
        assert (await desk.get("/readyz")).status == 503
        assert (await desk.get("/healthz")).status == 200
        gate.release()
        assert (await first).status == 200
        for refused in (third, await second):
            assert (refused.status, refused.error["code"]) == (503, "draining")
            assert refused.headers["connection"] == "close"  # who asks again there would hear the same
            assert int(refused.headers["retry-after"]) > 0
        assert len(desk.turns()) == 1


async def test_who_may_be_taken_for_dead_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease may be over: no call would leave it."""
    async with serving(tmp_path) as desk:
        pulse = desk.app.services.pulse
        monkeypatch.setattr(pulse, "_good_until", 0.0)
        refused = await desk.get("/readyz")
        assert (refused.status, refused.body["status"]) == (503, "the store was not reached in time")
        assert (await desk.get("/healthz")).status == 200
