"""Complaints of other systems' users about streams, telemetry, loops and tools, each as it would happen here.

The reference in a docstring is the report. What is tested elsewhere is in the table of `test_field_complaints.py`.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.types import Event, TextDelta
from tests.support import books, desk
from tests.support.stage import Stage, answer, call, calls, stage


@pytest.fixture(autouse=True)
def _desk() -> None:
    desk.RUNS.clear()
    desk.blocked.set()


async def left(on: Stage) -> None:
    """A turn whose reader leaves in the middle of the answer; it runs in another context than the one it is left in."""
    reading = asyncio.Event()

    async def emit(event: Event) -> None:
        if isinstance(event, TextDelta):
            reading.set()

    on.server.faults.push(Fault("ok"))  # the tool call
    on.server.gate(after=30)
    task = contextvars.Context().run(asyncio.create_task, on.app.ask("wifi", emit=emit))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_that_was_left_is_in_the_books_and_costs_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """openai-openapi#539, openai-agents-js#995, onyx#10658: zero tokens; pydantic-ai#1524: paid for in the
    background; openlit#1515: the span open for ever; adk-python#4894: "Token was created in a different Context"."""
    async with stage(tmp_path) as on:
        await left(on)
        gc.collect()
        await on.server.log.until(lambda log: log.count("aborted") == 1)
        assert await asyncio.to_thread(on.app.services.telemetry.flush)
        rows = books.table(on.store, "ledger")
        spans = on.received.spans
    cut = rows[-1]
    assert (cut["outcome"], cut["quality"], cut["cost"]) == ("cancelled", "estimated", cut["bound"])
    assert books.number(cut["output_tokens"]) > 0
    assert {span.name for span in spans} >= {"invoke_agent desk", "chat small"}
    assert [span.attributes["error.type"] for span in spans if span.name == "invoke_agent desk"] == ["cancelled"]
    assert on.server.log.count() == len(rows)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_closing_exports_what_nobody_flushed(tmp_path: Path) -> None:
    """openai-agents-python#2135, opentelemetry-python-contrib#4916: spans of a worker that ends are lost."""
    async with stage(tmp_path) as on:
        result = await on.app.ask("wifi")
        received = on.received
    assert {span.name for span in received.spans if span.trace_id == result.trace_id} == {
        "invoke_agent desk",
        "chat small",
        "execute_tool search_kb",
    }
    assert "gen_ai.client.inference.usage.input_tokens" in received.metrics


async def test_a_retry_can_be_seen_apart_from_the_call(tmp_path: Path) -> None:
    """openinference#3664: one span hides all retries, and its duration mixes in the back-off."""
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault("status", 500), answer(True))
        assert await asyncio.to_thread(on.app.services.telemetry.flush)
        metrics = on.received.metrics
    assert [(event.name, event.attributes["error.type"]) for event in seen.chat.events] == [
        ("agent.retry", "server_error")
    ]
    assert seen.chat.attributes["agent.attempts"] == len(seen.ledger) == 2
    errors = {str(p.attributes.get("error.type", "")) for p in metrics["gen_ai.client.inference.duration"].points}
    assert errors == {"", "server_error"}  # one record each, the wait in neither
    assert [point.value for point in metrics["agent.retries"].points] == [1]


async def test_the_same_call_a_hundred_times_runs_twice(tmp_path: Path) -> None:
    """openclaw#7500."""
    async with stage(tmp_path, bounds={"steps": 200, "tool_calls": 200}) as on:
        seen = await on.turn(Fault("repeated_calls", times=100))
        assert on.server.log.count() <= 6
    assert seen.result.outcome == "repeating"
    assert set(desk.RUNS.values()) == {2}


async def test_thousands_of_calls_that_change_something_are_bounded(tmp_path: Path) -> None:
    """cuga-agent#385: 8,910 calls in one task, mutating ones among them."""
    order = [
        calls(True, *(call("order_part", f'{{"name": "{n} {m}"}}', f"c{m}") for m in range(99))) for n in range(90)
    ]
    async with stage(tmp_path, bounds={"steps": 90, "tool_calls": 24}) as on:
        seen = await on.turn(*order)
        on.server.faults.clear()
    assert seen.result.outcome in ("limit_tools", "answered")
    assert desk.RUNS.total() <= 24


async def test_792_parallel_calls_are_a_note(tmp_path: Path) -> None:
    """pydantic-ai#6884."""
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault("parallel_calls", 792), answer(True))
    assert (seen.result.outcome, desk.RUNS.total()) == ("answered", 8)


@pytest.mark.parametrize(
    ("name", "arguments"), [("no_such_tool", "{}"), ("search_kb", '{"query": '), ("search_kb", '{"wrong": 1}')]
)
async def test_calls_that_never_ran_count_as_repeats(tmp_path: Path, name: str, arguments: str) -> None:
    """renfield#1071: a loop guard that saw only executed calls, not calls to unknown tools."""
    async with stage(tmp_path, bounds={"steps": 100, "tool_calls": 100}) as on:
        seen = await on.turn(*(calls(True, call(name, arguments, f"c{n}")) for n in range(50)))
        on.server.faults.clear()
    assert seen.result.outcome == "repeating"
    assert (len(seen.chats), desk.RUNS.total()) == (5, 0)


async def test_one_malformed_argument_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    """pydantic-ai#6739; claude-code#64346: one failing parallel call cancels its 26 siblings."""
    siblings = [call("search_kb", f'{{"query": "q{n}"}}', f"c{n}") for n in range(26)]
    bad = [call("search_kb", '{"query": 5', "bad"), call("search_kb", '{"query": "explode 1"}', "fails")]
    async with stage(tmp_path, bounds={"calls_per_reply": 28, "tool_calls": 50}) as on:
        seen = await on.turn(calls(True, *bad, *siblings), answer(True))
    assert seen.result.outcome == "answered"
    assert sum(told.startswith("Article about q") for told in seen.told) == 26
    assert sum(told.startswith("Error") for told in seen.told) == 2
