"""Turns of other processes: which are gone on with here, how many at a time, and when one is given up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import resuming
from agent.offline.server import OfflineModel
from agent.store.store import Lease
from tests.support import books, desk
from tests.support.app import running_app
from tests.support.behind import change_turns, reap
from tests.support.until import until

QUESTION = "My wifi is broken."
LEASE = Lease(6.0, 0.3, 0.05)


async def given_back(tmp_path: Path, server: OfflineModel, count: int = 1) -> None:
    """Turns of a process that ended while each was in a tool."""
    desk.meeting = desk.Meeting(asyncio.Event())
    async with running_app(tmp_path, server) as app:
        asking = [asyncio.create_task(app.ask(f"{QUESTION} {n}")) for n in range(count)]
        await until(lambda: desk.meeting.there == count)
    await asyncio.wait(asking)
    desk.meeting = desk.Meeting(asyncio.Event())


def turns(tmp_path: Path) -> list[dict[str, books.Value]]:
    return books.table(tmp_path / "store.db", "turn")


async def test_they_run_at_once(tmp_path: Path, server: OfflineModel) -> None:
    await given_back(tmp_path, server, 50)
    async with running_app(tmp_path, server) as app:
        reap(app.settings.store)
        task = asyncio.create_task(app.resume())
        await until(lambda: desk.meeting.there == 50)
        assert desk.meeting.open
        desk.meeting.open.set()
        results = await task
    assert [result.outcome for result in results] == ["answered"] * 50
    assert {turn["outcome"] for turn in turns(tmp_path)} == {"answered"}


async def test_so_many_at_a_time(tmp_path: Path, server: OfflineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "AT_ONCE", 2)
    await given_back(tmp_path, server, 5)
    async with running_app(tmp_path, server) as app:
        reap(app.settings.store)
        tasks = [asyncio.create_task(app.resume()) for _ in range(2)]
        await until(lambda: desk.meeting.there == 2)
        assert desk.meeting.open
        desk.meeting.open.set()
        first, second = await asyncio.gather(*tasks)
    assert len(first) + len(second) == 5
    assert desk.meeting.most == 2
    assert {turn["epoch"] for turn in turns(tmp_path)} == {3}


async def test_found_twice(tmp_path: Path, server: OfflineModel) -> None:
    """Whoever came second leaves it to the first, to the pulse's knowledge, too."""
    await given_back(tmp_path, server)
    async with running_app(tmp_path, server) as app:
        reap(app.settings.store)
        first, second = [asyncio.create_task(app.resume()) for _ in range(2)]
        await until(lambda: desk.meeting.there == 1)
        assert await second == []
        assert len(app.services.pulse.turns) == 1
        assert desk.meeting.open
        desk.meeting.open.set()
        assert len(await first) == 1


async def test_those_that_come_later_do_not_wait(tmp_path: Path, server: OfflineModel) -> None:
    await given_back(tmp_path, server)
    async with running_app(tmp_path, server, lease=LEASE, take_over=True):
        await until(lambda: desk.meeting.there == 1)
        meeting = desk.meeting
        async with running_app(tmp_path, server) as other:
            asking = asyncio.create_task(other.ask("And my printer?"))
            await until(lambda: meeting.there == 2)
        await asyncio.wait([asking])
        await until(lambda: meeting.there == 2 and {turn["epoch"] for turn in turns(tmp_path)} == {3})
        assert meeting.open
        meeting.open.set()
        await until(lambda: [turn["outcome"] for turn in turns(tmp_path)] == ["answered"] * 2)


async def test_one_that_can_not_be_run_here_is_left(
    tmp_path: Path, server: OfflineModel, caplog: pytest.LogCaptureFixture
) -> None:
    """To a process that has its prompt; this one says so once."""
    await given_back(tmp_path, server)
    desk.meeting = desk.Meeting()
    async with running_app(tmp_path, server, prompts={1: "Another text."}) as app:
        reap(app.settings.store)
        assert await app.resume() == await app.resume() == []
        [turn] = turns(tmp_path)
        assert (turn["state"], turn["epoch"]) == ("queued", 2)
        assert [str(turn["id"]) in record.getMessage() for record in caplog.records] == [True]
    async with running_app(tmp_path, server) as app:
        [result] = await app.resume()
        assert result.outcome == "answered"


@pytest.mark.parametrize(("failures", "outcome"), [(5, "answered"), (6, "resumed_unknown")])
async def test_given_up(tmp_path: Path, server: OfflineModel, failures: int, outcome: str) -> None:
    """One under which so many processes ended, one after the other, without a step of it between."""
    await given_back(tmp_path, server)
    desk.meeting = desk.Meeting()
    change_turns(tmp_path / "store.db", f"state = 'queued', owner = NULL, due_at = 0, epoch = {2 * failures}")
    async with running_app(tmp_path, server) as app:
        results = await app.resume()
        [turn] = turns(tmp_path)
        assert (turn["state"], turn["outcome"], len(results)) == ("done", outcome, outcome == "answered")
        assert ("5 processes" in str(turn["result"])) == (outcome == "resumed_unknown")


async def test_processes_that_give_it_back_are_not_counted(tmp_path: Path, server: OfflineModel) -> None:
    """Each stops as it should in the middle of the same reply: many restarts in a row."""
    for number in range(8):
        async with running_app(tmp_path, server) as app:
            reap(app.settings.store)
            gate = server.gate()
            task = asyncio.create_task(app.resume() if number else app.ask(QUESTION))
            await gate.arrived()
        await asyncio.wait([task])
        gate.release()
    async with running_app(tmp_path, server) as app:
        reap(app.settings.store)
        [result] = await app.resume()
    assert result.outcome == "answered"
    assert [turn["epoch"] for turn in turns(tmp_path)] == [17]
