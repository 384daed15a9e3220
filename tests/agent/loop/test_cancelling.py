"""A turn that is cancelled or whose reader fails, at every moment: it ends, it is paid, nothing is left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from agent import loop
from agent.app import App
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.store.sqlite import Synchronous
from agent.store.store import Lease
from agent.types import Event, TextDelta, ToolFinished, ToolStarted, TurnResult
from tests.support import books, desk
from tests.support.app import metric, running_app
from tests.support.until import until

QUESTION = "My wifi is broken."


class Left(Exception):
    """The reader's connection is gone."""


def check_books(path: str, outcome: str = "cancelled") -> None:
    assert [(turn["state"], turn["outcome"]) for turn in books.table(path, "turn")] == [("done", outcome)]
    assert books.table(path, "hold") == []
    assert books.replay(path) == []


async def cancelled(app: App, task: asyncio.Task[TurnResult]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_books(app.settings.store)
    assert metric(app, "agent_turns_active") == 0
    assert metric(app, "agent_turns_total", agent_outcome="cancelled") == 1
    assert app.services.pulse.live == set()


@pytest.mark.parametrize("stream", [True, False])
async def test_in_a_call(tmp_path: Path, server: OfflineModel, stream: bool) -> None:
    async with running_app(tmp_path, server) as app:
        gate = server.gate()
        task = asyncio.create_task(app.ask(QUESTION, stream=stream))
        await gate.arrived()
        await cancelled(app, task)
        [row] = books.table(app.settings.store, "ledger")
        assert (row["cost"], row["quality"], row["outcome"]) == (row["bound"], "unknown", "cancelled")


async def test_in_a_stream(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server, tools=[]) as app:
        gate = server.gate(after=4)
        task = asyncio.create_task(app.ask(QUESTION))
        await gate.arrived()
        await asyncio.sleep(0.01)  # what was sent before the gate arrives
        await cancelled(app, task)
        [row] = books.table(app.settings.store, "ledger")
        assert (row["cost"], row["quality"]) == (row["bound"], "estimated")
        assert row["output_tokens"]


async def test_in_a_tool(tmp_path: Path, server: OfflineModel) -> None:
    desk.meeting.open = asyncio.Event()
    async with running_app(tmp_path, server) as app:
        task = asyncio.create_task(app.ask(QUESTION))
        await desk.meeting.arrived.wait()
        await cancelled(app, task)
        assert desk.meeting.there == 0
        [row] = books.table(app.settings.store, "ledger")
        assert row["quality"] == "measured"


async def test_while_waiting_for_another_attempt(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 429, headers={"retry-after": "60"}))
    async with running_app(tmp_path, server) as app:
        waits = asyncio.Event()

        async def show(_: Event) -> None:
            waits.set()

        task = asyncio.create_task(app.ask(QUESTION, emit=show))
        await waits.wait()
        await cancelled(app, task)
        assert [row["kind"] for row in books.table(app.settings.store, "ledger")] == ["release"]


@pytest.mark.parametrize("synchronous", get_args(Synchronous))
@pytest.mark.parametrize("moment", range(16))
async def test_at_any_moment(tmp_path: Path, server: OfflineModel, moment: int, synchronous: Synchronous) -> None:
    """Cancelled after so many turns of the event loop, in the middle of transactions, too: whatever was on its way,
    the conversation is free again."""
    async with running_app(tmp_path, server, synchronous=synchronous) as app:
        path = app.settings.store
        first = await app.ask(QUESTION)
        task = asyncio.create_task(app.ask(QUESTION, conversation=first.conversation_id))
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await app.ask("Are you there?", conversation=first.conversation_id)).outcome == "answered"
        assert {turn["state"] for turn in books.table(path, "turn")} == {"done"}
    assert books.table(path, "hold") == []
    assert books.replay(path) == books.chain_faults(path) == []


@pytest.mark.parametrize("transaction", [1, 2, 3, 4])
async def test_during_a_commit(tmp_path: Path, server: OfflineModel, transaction: int) -> None:
    """Of a new conversation's turn, while its n-th transaction is handed in. The last one ends it as answered, and
    then everybody says so but its caller, who has heard nothing."""
    async with running_app(tmp_path, server, synchronous="FULL") as app:
        path = app.settings.store
        task = asyncio.create_task(app.ask(QUESTION))
        writer = app.services.store._writer
        await until(lambda: writer._running, 0)
        for _ in range(transaction - 1):
            await until(lambda: not writer._running, 0)
            await until(lambda: writer._running, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        outcome = "answered" if transaction == 4 else "cancelled"
        assert metric(app, "agent_turns_total") == metric(app, "agent_turns_total", agent_outcome=outcome) == 1
    check_books(path, outcome)


async def test_twice(tmp_path: Path, server: OfflineModel) -> None:
    """Whoever is impatient changes nothing about the books."""
    async with running_app(tmp_path, server, synchronous="FULL") as app:
        gate = server.gate(after=3)
        task = asyncio.create_task(app.ask(QUESTION, conversation=None))
        await gate.arrived()
        task.cancel()
        for _ in range(30):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        path = app.settings.store
    check_books(path)
    assert len(books.table(path, "ledger")) == 1


async def test_twice_while_the_store_is_locked(tmp_path: Path, server: OfflineModel) -> None:
    """The turn has a task until its end is written: it does not come back, and is not paid for again."""
    lease = Lease(6.0, 0.3, 0.05)
    async with running_app(tmp_path, server, synchronous="FULL", lease=lease, take_over=True) as app:
        path, pulse = app.settings.store, app.services.pulse
        gate = server.gate()
        task = asyncio.create_task(app.ask(QUESTION))
        await gate.arrived()
        [turn] = pulse.turns
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(5):
                task.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
            assert pulse.turns == {turn}
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pulse.turns == set()
        [before] = books.table(path, "worker")
        await until(lambda: books.table(path, "worker")[0]["lease_until"] != before["lease_until"])
    check_books(path)
    assert [row["epoch"] for row in books.table(path, "turn")] == [1]
    assert len(books.table(path, "ledger")) == server.log.count() == 1


async def test_what_fails_after_a_reply(tmp_path: Path, server: OfflineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply is paid for as its provider said."""

    def fails(*_: object) -> None:
        raise Left

    monkeypatch.setattr(loop, "take_up", fails)
    async with running_app(tmp_path, server) as app:
        with pytest.raises(Left):
            await app.ask(QUESTION)
        check_books(app.settings.store)
        assert [row["quality"] for row in books.table(app.settings.store, "ledger")] == ["measured"]


@pytest.mark.parametrize("event", [TextDelta, ToolStarted, ToolFinished])
@pytest.mark.parametrize("calls", [1, 3])
async def test_reader_fails(tmp_path: Path, server: OfflineModel, event: type, calls: int) -> None:
    async def show(shown: Event) -> None:
        if isinstance(shown, event):
            raise Left

    server.faults.push(Fault("parallel_calls", calls))
    async with running_app(tmp_path, server) as app:
        with pytest.raises(Left):
            await app.ask(QUESTION, emit=show)
        check_books(app.settings.store)
        assert metric(app, "agent_turns_active") == 0


async def test_closing_the_app_waits_for_its_turns(tmp_path: Path, server: OfflineModel) -> None:
    """They are not ended: who comes next goes on with them. What they paid is booked before the store is closed."""
    for store in (str(tmp_path / "store.db"), ":memory:"):
        async with running_app(tmp_path, server, store=store) as app:
            gate = server.gate()
            task = asyncio.create_task(app.ask(QUESTION))
            await gate.arrived()
            booked = app.services.store
        assert task.done() or task.cancelling()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert booked.settles_waiting == 0
    path = tmp_path / "store.db"
    assert [row["outcome"] for row in books.table(path, "ledger")] == ["cancelled"]
    assert books.table(path, "hold") == []
    [turn] = books.table(path, "turn")
    assert turn["state"] in ("queued", "running")
