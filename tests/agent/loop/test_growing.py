"""A turn of many steps: with each, only what is new is made into messages and encoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.conversing import Conversing
from agent.models import wire
from agent.offline.server import OfflineModel
from agent.opening import Asked
from agent.types import Caller, Message
from tests.support.app import running_app
from tests.support.stage import call, calls

STEPS = 12


async def test_a_step_costs_the_same_at_any_place(
    tmp_path: Path, server: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(STEPS):
        server.faults.push(calls(False, call("search_kb", f'{{"query":"café {n} \\ud800"}}', f"c{n}")))
    encoded: list[Message] = []
    encode = wire._message

    def counted(message: Message) -> object:
        encoded.append(message)
        return encode(message)

    monkeypatch.setattr(wire, "_message", counted)
    so_far = Conversing(stream=False)
    async with running_app(tmp_path, server, bounds={"steps": STEPS + 2, "tool_calls": STEPS + 1}) as app:
        result = await app.run(Asked("My wifi is broken.", Caller()), so_far=so_far)
        assert result.outcome == "answered"
        asked, draft = so_far.drafts["small"]
        assert len(encoded) == len(asked.messages) == 2 * STEPS + 1
        assert draft == wire.draft(asked, app.agents["desk"].chain[0].model.config)
        assert so_far.turn
        assert so_far.turn.messages()[:-1] == asked.messages
    assert [access.messages for access in server.log.accesses] == [2 * n + 2 for n in range(STEPS + 1)]
