"""The tool calls of a reply: as many at a time as configured, each with an answer, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.app import App
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.support import books, desk
from tests.support.app import metric, running_app

QUESTION = "My wifi is broken."


def answers(app: App) -> list[dict[str, str | None]]:
    """What the model was told, in order."""
    rows = [row for row in books.table(app.settings.store, "step", "position") if row["kind"] == "tool"]
    return [json.loads(str(row["answer"])) for row in rows]


@pytest.mark.parametrize("stream", [True, False])
async def test_eight_hundred_parallel_calls_cost_a_note(tmp_path: Path, server: OfflineModel, stream: bool) -> None:
    server.faults.push(Fault("parallel_calls", 800))
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION, stream=stream)
        told = answers(app)
        assert metric(app, "agent_tool_rejections_total", agent_rejection="too_many") == 792
    assert result.outcome == "answered"
    assert sum(desk.RUNS.values()) == len(told) == 8
    assert server.log.accesses[1].messages == 2 + 1 + 8


async def test_the_note_says_how_many_were_not_run(tmp_path: Path, server: OfflineModel) -> None:
    """The stand-in repeats what it reads."""
    server.faults.push(Fault("parallel_calls", 20))
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION)
    assert "Your reply asked for 12 more calls than may be run at once" in str(result.text)


async def test_bound_of_the_turn(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("parallel_calls", 5))
    async with running_app(tmp_path, server, bounds={"tool_calls": 3}) as app:
        assert (await app.ask(QUESTION)).outcome == "limit_tools"
        assert [told["error_type"] for told in answers(app)] == [None, None, None, "not_run", "not_run"]
    assert sum(desk.RUNS.values()) == 3


@pytest.mark.parametrize("parallel", [1, 3])
async def test_at_most_so_many_at_a_time(tmp_path: Path, server: OfflineModel, parallel: int) -> None:
    desk.meeting.open = asyncio.Event()
    server.faults.push(Fault("parallel_calls", 6))
    async with running_app(tmp_path, server, bounds={"parallel_tools": parallel}) as app:
        task = asyncio.create_task(app.ask(QUESTION))
        await desk.meeting.arrived.wait()
        for _ in range(20):  # whoever else may come has come
            await asyncio.sleep(0)
        assert desk.meeting.there == parallel
        desk.meeting.open.set()
        assert (await task).outcome == "answered"
    assert desk.meeting.most == parallel
    assert sum(desk.RUNS.values()) == 6


async def test_one_that_fails_does_not_harm_its_siblings(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("parallel_calls", 4))
    async with running_app(tmp_path, server) as app:
        assert (await app.ask("Why does my laptop explode?")).outcome == "answered"
        told = answers(app)
    assert [each["error_type"] for each in told] == [None, "tool_error", None, None]
    assert told[1]["content"] == "Error: the index is on fire"
    for each, number in zip(told[2:], "23", strict=True):
        assert str(each["content"]).endswith(f" {number}: turn it off and on again.")


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("malformed_arguments", "invalid_arguments", "Expected is a JSON object"),
        ("absent_arguments", "invalid_arguments", "query: missing"),
        ("null_arguments", "invalid_arguments", "query: missing"),
        ("unknown_tool:search_bk", "unknown_tool", "Did you mean search_kb?"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_bad_calls_are_told_to_the_model(
    tmp_path: Path, server: OfflineModel, fault: str, error: str, says: str, stream: bool
) -> None:
    server.faults.push(Fault.parse(fault))
    async with running_app(tmp_path, server) as app:
        assert (await app.ask(QUESTION, stream=stream)).outcome == "answered"
        told = answers(app)[0]
        assert metric(app, "agent_tool_rejections_total", agent_rejection=error) == 1
    assert told["error_type"] == error
    assert says in str(told["content"])


async def test_huge_result_is_cut_with_a_note(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server, bounds={"tool_result_bytes": 1000}) as app:
        await app.ask("I have an endless problem with wifi.")
        [told, *_] = answers(app)
    content = str(told["content"])
    assert len(content.encode()) <= 1000
    assert "\n[Cut here: the result has 500,000 bytes, of which the first " in content


async def test_results_are_in_the_order_of_the_calls(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("parallel_calls", 8))
    async with running_app(tmp_path, server) as app:
        await app.ask(QUESTION)
        rows = books.table(app.settings.store, "step", "position")
    assert [row["key"] for row in rows] == ["m0", *(f"m0.t{n}" for n in range(8)), "m1"]
    calls = json.loads(str(rows[0]["answer"]))["tool_calls"]
    queries = [json.loads(arguments)["query"] for _, _, arguments in calls]
    told = [json.loads(str(row["answer"]))["content"] for row in rows[1:9]]
    assert told == [f"Article about {query}: turn it off and on again." for query in queries]
