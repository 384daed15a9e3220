"""Every way a turn can go, as the tree of its spans: what left the process, over HTTP and over gRPC.

Everything that arrives (spans, events, metrics) conforms to the telemetry contract, in each of these stories.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.types import Event, TextDelta
from tests.stories.support import HELPDESK, QUESTION, Collector, telling
from tests.support import desk
from tests.support.app import running_app
from tests.support.received import Received

TREES = Path(__file__).parent / "trees"

pytestmark = pytest.mark.usefixtures("_all_conforms")


@pytest.fixture
def _all_conforms(collector: Collector) -> Iterator[None]:
    yield
    assert collector.received.spans
    assert collector.received.metrics
    assert collector.findings() == []


def tree(name: str) -> str:
    return (TREES / f"{name}.txt").read_text().rstrip("\n")


async def test_ask(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector) as told:
        result = await told.app.ask(QUESTION, stream=False)
    assert collector.tree == tree("ask")
    assert {span.trace_id for span in collector.received.spans} == {result.trace_id}


async def test_streamed(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector) as told:
        await told.app.ask(QUESTION)
    assert collector.tree == tree("streamed")
    chats = [span for span in collector.received.spans if span.name.startswith("chat")]
    assert all(span.attributes["gen_ai.request.stream"] for span in chats)


async def test_parallel_tools(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    together = asyncio.Event()
    monkeypatch.setattr(desk, "meeting", desk.Meeting(open=together))
    async with telling(tmp_path, collector, tools=["tests.support.desk"], bounds={"parallel_tools": 2}) as told:
        told.server.faults.push(Fault("parallel_calls", 3))
        asking = asyncio.create_task(told.app.ask(QUESTION))
        while desk.meeting.there < 2:
            desk.meeting.arrived.clear()
            await desk.meeting.arrived.wait()
        together.set()
        await asking
    assert collector.tree == tree("parallel_tools")
    first, second, third = sorted(
        (span for span in collector.received.spans if span.name.startswith("execute_tool")), key=lambda s: s.start
    )
    assert second.start < first.end
    assert third.start >= min(first.end, second.end)


async def test_a_tool_fails_and_its_siblings_do_not(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector, tools=["tests.support.desk"]) as told:
        told.server.faults.push(Fault("parallel_calls", 3))
        await told.app.ask("Why does my laptop explode?")
        told.server.faults.push(Fault("malformed_arguments"))
        await told.app.ask("How do I set up the VPN?")
        told.server.faults.push(Fault("unknown_tool"))
        await told.app.ask("How do I set up the VPN?")
    assert collector.tree == tree("a_tool_fails_and_its_siblings_do_not")
    assert [log.event_name for log in collector.received.logs] == ["gen_ai.execute_tool.exception"] * 2


async def test_a_retry(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector) as told:
        told.server.faults.push(Fault("status", 503), Fault("status", 429))
        await told.app.ask(QUESTION)
    assert collector.tree == tree("a_retry")


async def test_a_fallback(tmp_path: Path, collector: Collector) -> None:
    async with telling(
        tmp_path, collector, chain={"spare": {}}, model={"retries": {"attempts": 2, "base_seconds": 0}}
    ) as told:
        told.server.faults.push(Fault("status", 429, times=2))
        await told.app.ask(QUESTION)
    assert collector.tree == tree("a_fallback")
    assert [log.event_name for log in collector.received.logs] == ["gen_ai.client.operation.exception"]


async def test_no_provider_answers(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector) as told:
        told.server.faults.push(Fault("status", 401))
        await told.app.ask(QUESTION)
    assert collector.tree == tree("no_provider_answers")


async def test_a_limit_with_its_closing_call(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector, bounds={"steps": 3}) as told:
        told.server.faults.push(Fault("cycle", 3, times=2))
        await told.app.ask(QUESTION)
    assert collector.tree == tree("a_limit_with_its_closing_call")


async def test_repeats(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector) as told:
        told.server.faults.push(Fault("repeated_calls", times=10))
        await told.app.ask(QUESTION)
    assert collector.tree == tree("repeats")


async def test_refused_before_the_first_call_and_in_the_middle(tmp_path: Path, collector: Collector) -> None:
    async with telling(tmp_path, collector, budgets={"everything": 10}) as told:
        told.server.faults.push(Fault("stated_cost", 9.9999))
        await told.app.ask(QUESTION)
        await told.app.ask(QUESTION)
    assert collector.tree == tree("refused_before_the_first_call_and_in_the_middle")


async def test_aborted_in_the_middle_of_a_stream(tmp_path: Path, collector: Collector) -> None:
    shown = asyncio.Event()

    async def emit(event: Event) -> None:
        if isinstance(event, TextDelta):
            shown.set()

    async with telling(tmp_path, collector) as told:
        told.server.faults.push(Fault("ok"))
        gate = told.server.gate(after=5)
        asking = asyncio.create_task(told.app.ask(QUESTION, emit=emit))
        await gate.arrived()
        await shown.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert collector.tree == tree("aborted_in_the_middle_of_a_stream")
    (aborted,) = [span for span in collector.received.spans if span.attributes.get("agent.cost.quality") == "estimated"]
    assert aborted.attributes["agent.cost.usd"] == aborted.attributes["agent.held.usd"]


async def test_another_process_goes_on_with_the_turn(tmp_path: Path, collector: Collector) -> None:
    def ended(received: Received) -> bool:
        return any(span.attributes.get("agent.outcome") for span in received.spans)

    env = {**collector.env, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with OfflineModel() as server:
        server.faults.push(Fault("ok"))
        gate = server.gate()
        async with running_app(tmp_path, server, tools=HELPDESK, env=env) as app:
            asking = asyncio.create_task(app.ask(QUESTION))
            await gate.arrived()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with running_app(tmp_path, server, tools=HELPDESK, env=env, take_over=True):
            await asyncio.to_thread(collector.received.wait_for, ended)
    assert collector.tree == tree("another_process_goes_on_with_the_turn")
    assert len({span.trace_id for span in collector.received.spans}) == 1
