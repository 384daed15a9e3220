"""A turn that the store fails under: its caller hears of it, and it is not lost to its conversation."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.journal import TakenOver
from agent.offline.server import OfflineModel
from agent.opening import ConversationBusy
from agent.store import sqlite
from agent.store.errors import StoreError
from agent.store.store import Lease
from tests.support import books
from tests.support.app import metric, running_app
from tests.support.until import until

QUESTION = "My wifi is broken."
LEASE = Lease(6.0, 0.3, 0.1)


async def test_goes_on_later(tmp_path: Path, server: OfflineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "DEADLINE", 0.05)
    async with running_app(tmp_path, server, lease=LEASE) as app:
        path = app.settings.store
        first = await app.ask("Hello")
        gate = server.gate()
        running = asyncio.create_task(app.ask(QUESTION, conversation=first.conversation_id))
        await gate.arrived()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gate.release()
            with pytest.raises(StoreError, match="held the store"):
                await running
        assert metric(app, "agent_turns_active") == 0
        await until(lambda: books.table(path, "turn")[-1]["state"] == "queued")
        with pytest.raises(ConversationBusy):
            await app.ask("Hurry up!", conversation=first.conversation_id)
        [result] = await app.resume()
        assert result.outcome == "answered"
        assert (await app.ask("And now?", conversation=first.conversation_id)).outcome == "answered"
        await until(lambda: not app.services.store.settles_waiting)
        assert books.table(path, "hold") == []
        assert books.replay(path) == []


async def test_turns_under_way_are_left_alone(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server, lease=LEASE) as app:
        gate = server.gate()
        running = asyncio.create_task(app.ask(QUESTION))
        await gate.arrived()
        [before] = books.table(app.settings.store, "worker")
        await until(lambda: books.table(app.settings.store, "worker")[0]["lease_until"] != before["lease_until"])
        gate.release()
        assert (await running).outcome == "answered"
        assert [row["epoch"] for row in books.table(app.settings.store, "turn")] == [1]


async def test_a_process_that_was_declared_dead_begins_nothing(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server, lease=LEASE) as app:
        gate = server.gate()
        running = asyncio.create_task(app.ask(QUESTION))
        await gate.arrived()
        with closing(sqlite3.connect(app.settings.store, isolation_level=None)) as other:
            other.execute("UPDATE worker SET state = 'dead'")
        with pytest.raises(TakenOver):
            await running
        with pytest.raises(StoreError, match="declared dead"):
            await app.ask("Hello?")
    assert server.log.count() == 1
