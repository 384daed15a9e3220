"""How a turn ends, and what it used, in every signal alike: small turns, each with one thing that goes otherwise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.types import ToolFinished
from tests.stories import counting
from tests.support import desk
from tests.support.app import Values
from tests.support.signals import Span
from tests.support.stage import COUNTS, Stage, answer, call, calls, stage

SEARCH = call("search_kb", '{"query": "wifi"}')
PRICED: Values = {"model": "gpt-4o-mini", "price": "openai/gpt-4o-mini", "ceiling_usd_per_mtok": None}


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(desk, "meeting", desk.Meeting())
    desk.blocked.clear()
    yield
    desk.blocked.set()


def series(on: Stage, sample: str, *labels: str) -> list[tuple[str, ...]]:
    """The labels of each series."""
    families = on.app.services.telemetry.registry.collect()
    return [
        tuple(s.labels[label] for label in labels) for family in families for s in family.samples if s.name == sample
    ]


def failed_as(spans: tuple[Span, ...], operation: str) -> list[object]:
    return [span.attributes.get("error.type") for span in counting.spans_of(spans, operation)]


async def test_a_tool_that_is_cancelled(tmp_path: Path) -> None:
    desk.meeting.open = asyncio.Event()
    async with stage(tmp_path) as on:
        on.server.faults.push(calls(True, SEARCH))
        task = asyncio.create_task(on.app.ask("wifi?"))
        await desk.meeting.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(on.app.services.telemetry.flush)
        assert failed_as(on.received.spans, "execute_tool") == failed_as(on.received.spans, "invoke_agent")
        assert failed_as(on.received.spans, "execute_tool") == ["cancelled"]
        assert series(on, "gen_ai_execute_tool_duration_seconds_count", "error_type") == [("cancelled",)]
        assert series(on, "gen_ai_invoke_agent_duration_seconds_count", "error_type") == [("cancelled",)]


async def test_a_provider_that_fails(tmp_path: Path) -> None:
    """The agent span says why, and so does the metric's label: the provider's code, not the outcome."""
    async with stage(tmp_path, model={"retries": {"attempts": 1}}) as on:
        seen = await on.turn(answer(True, usage=COUNTS, finish="content_filter", text=""))
        assert seen.result.outcome == "content_filtered"
        seen = await on.turn(Fault("status", 401))
        (told,) = failed_as(seen.spans, "invoke_agent")
        assert (seen.result.outcome, told) == ("provider_failed", seen.row["outcome"])
        labels = series(on, "gen_ai_invoke_agent_duration_seconds_count", "error_type")
        assert labels == [("content_filtered",), (told,)]


async def test_a_tool_gets_no_more_time_than_the_turn_has(tmp_path: Path) -> None:
    """What it is told names the time that it had: all that was left, and less than the tool's own 30 seconds."""
    async with stage(tmp_path, bounds={"deadline_seconds": 0.5}) as on:
        seen = await on.turn(calls(True, call("order_part", '{"name": "fan"}')))
        desk.blocked.set()
        (result,) = [event.result for event in seen.events if isinstance(event, ToolFinished)]
        allowed = re.search(r"within ([\d.]+) s", result.content)
        assert allowed
        assert float(allowed[1]) <= 0.5
        assert result.error_type == "timeout"
        assert failed_as(seen.spans, "execute_tool") == ["timeout"]
        assert series(on, "gen_ai_execute_tool_duration_seconds_count", "error_type") == [("timeout",)]


async def test_usage_without_a_price_is_in_every_signal(tmp_path: Path) -> None:
    async with stage(tmp_path, model=PRICED) as on:
        seen = await on.turn(answer(True, service_tier="scale"))
        assert (seen.row["input_tokens"], seen.row["output_tokens"], seen.row["quality"]) == (100, 10, "unknown")
        for span in (seen.chat, seen.agent):
            used = [span.attributes.get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output")]
            assert used == [100, 10]
        assert (seen.result.usage.input_tokens, seen.result.usage.output_tokens) == (100, 10)
        metrics = on.received.metrics
        assert counting.told(metrics, "gen_ai.client.inference.usage.input_tokens") == {(): 100}
        assert counting.told(metrics, "gen_ai.client.inference.usage.output_tokens") == {(): 10}


async def test_usage_that_nobody_reported_is_absent_not_zero(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(answer(True, usage=None))
        assert not [name for span in seen.spans for name in span.attributes if name.startswith("gen_ai.usage.")]
        assert (seen.result.usage.input_tokens, seen.result.usage.output_tokens) == (None, None)


async def test_calls_and_tools_that_were_made_are_counted(tmp_path: Path) -> None:
    """A fallback is a call although it brought no reply; a call to a tool that is not there is none that ran."""
    async with stage(tmp_path, chain={"spare": {}}, model={"retries": {"attempts": 1}}) as on:
        await on.turn(calls(True, SEARCH, call("no_such_tool", "{}", "call_2")), Fault("status", 503), answer(True))
        metrics = on.received.metrics
        assert counting.summed(metrics, "gen_ai.invoke_agent.inference_calls") == 3
        assert counting.summed(metrics, "gen_ai.invoke_agent.tool_calls") == 1
