"""`GET /v1/turns/{id}` and `GET /v1/models`: what became of a turn, and whom one may ask."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.offline.faults import Fault
from tests.support.app import PROMPT
from tests.support.serving import serving


async def test_a_turn_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        gate = desk.model.gate()
        asking = asyncio.create_task(desk.ask())
        await gate.arrived()
        turn_id = desk.turns()[0]["id"]
        running = (await desk.get(f"/v1/turns/{turn_id}")).body
        assert (running["state"], running["outcome"], running["text"], running["ended"]) == (
            "running",
            None,
            None,
            None,
        )
        assert (running["usage"]["total_tokens"], running["cost_nano_usd"]) == (0, 0)
        gate.release()
        answered = await asking
        done = (await desk.get(f"/v1/turns/{turn_id}")).body
    agent = answered.body["agent"]
    assert (done["id"], done["object"], done["agent"]) == (agent["turn_id"], "agent.turn", "desk")
    assert (done["state"], done["outcome"], done["text"]) == ("done", "answered", answered.text)
    assert (done["trace_id"], done["conversation_id"]) == (agent["trace_id"], agent["conversation_id"])
    assert (done["usage"], done["cost_nano_usd"]) == (answered.body["usage"], agent["cost_nano_usd"])
    assert done["prompt"] == agent["prompt"] == {"name": "desk", "version": "1"}
    assert done["models"] == ["small"]
    assert done["ended"] >= done["created"] == running["created"]


async def test_a_turn_that_failed(tmp_path: Path) -> None:
    async with serving(tmp_path, prompts={1: PROMPT}) as desk:
        desk.model.faults.push(Fault("status", 400))
        failed = await desk.ask()
        turn = (await desk.get(f"/v1/turns/{failed.error['agent']['turn_id']}")).body
    assert (turn["outcome"], turn["text"]) == ("provider_failed", None)
    assert turn["reason"] == failed.error["message"]
