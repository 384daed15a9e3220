"""What callers give beside their question: messages of their own, a cap, a key, a pace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent import takeover
from agent.conversing import Conversing
from agent.offline.server import OfflineModel
from agent.opening import Asked, TooFast, TooMany, TurnKnown
from agent.store.work import Key, Pace
from agent.types import Caller, Message, ToolCall
from tests.support import books
from tests.support.app import running_app
from tests.support.behind import reap

BEFORE = (
    Message("user", "Hello \ud800"),
    Message("assistant", "", (ToolCall("a", "look_up", "{}"),)),
    Message("tool", "It is a laptop.", tool_call_id="a"),
)
KEPT = (replace(BEFORE[0], content="Hello \N{REPLACEMENT CHARACTER}"), *BEFORE[1:])
OUTPUT = 2000
"""Nano-dollars for a token: the price of `running_app`."""
ASKED = Asked("My wifi is broken.", Caller("t", key="k"), before=BEFORE, max_output_tokens=50)


async def test_messages_of_its_own(tmp_path: Path, server: OfflineModel) -> None:
    """They are between what was said in the conversation and the question, in this turn and for those after it."""
    async with running_app(tmp_path, server) as app:
        so_far = Conversing(stream=True)
        first = await app.run(ASKED, so_far=so_far)
        shown = so_far.drafts["small"][0].messages
        assert shown[:4] == (*BEFORE, Message("user", ASKED.text))
        later = Conversing(stream=True)
        again = replace(ASKED, conversation=first.conversation_id, max_output_tokens=None)
        await app.run(again, so_far=later)
        said = (*KEPT, *shown[3:], Message("assistant", first.text or ""))
        assert later.drafts["small"][0].messages[:-2] == (*said, *BEFORE, Message("user", ASKED.text))


@pytest.mark.parametrize(("cap", "expected"), [(50, 50), (800, 500)])
async def test_a_cap_is_only_lowered(tmp_path: Path, server: OfflineModel, cap: int, expected: int) -> None:
    async with running_app(tmp_path, server, tools=[], bounds={"output_tokens": 500}) as app:
        for each in (None, cap):
            await app.run(replace(ASKED, max_output_tokens=each))
    held, capped = [books.number(row["bound"]) for row in books.table(tmp_path / "store.db", "ledger", "id")]
    assert held - capped == (500 - expected) * OUTPUT


async def test_taken_over(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server) as app:
        gate = server.gate()
        asking = asyncio.create_task(app.run(ASKED))
        await gate.arrived()
    await asyncio.wait([asking])
    async with running_app(tmp_path, server) as app:
        reap(app.settings.store)
        [row] = books.table(app.settings.store, "turn")
        epoch = await app.services.store.claim(str(row["id"]))
        assert epoch
        turn = (await takeover.restore(app.services.store, app.agents["desk"], str(row["id"]), epoch)).turn
    assert (turn.history, turn.bounds.output_tokens, turn.caller) == (KEPT, 50, ASKED.caller)


async def test_a_key_begins_one_turn(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server) as app:
        first = await app.run(replace(ASKED, key=Key("once", "digest")))
        with pytest.raises(TurnKnown) as known:
            await app.run(replace(ASKED, key=Key("once", "another")))
        assert (known.value.turn, known.value.digest) == (first.turn_id, "digest")
    assert len(books.table(tmp_path / "store.db", "turn")) == 1


async def test_a_pace(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server) as app:
        gate = server.gate()
        running = asyncio.create_task(app.run(replace(ASKED, max_output_tokens=None)))
        await gate.arrived()
        with pytest.raises(TooMany):
            await app.run(replace(ASKED, pace=Pace(None, 1)))
        with pytest.raises(TooFast) as fast:
            await app.run(replace(ASKED, pace=Pace(1, None)))
        assert 0 < fast.value.retry_after <= 60
        gate.release()
        assert (await running).outcome == "answered"
