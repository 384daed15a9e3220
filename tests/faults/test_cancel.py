"""A turn cancelled at any moment of its life: it is paid for and seen to its end, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.audit import findings
from tests.faults.scene import ASK, QUESTION, asks_for_tools
from tests.support import books
from tests.support.app import metric
from tests.support.conformance import check
from tests.support.stage import Stage, stage
from tests.support.until import until

MOMENTS, WHOLE = 30, 4
"""Turns that are cancelled, and turns that are not."""


async def test_nothing_is_left_behind(tmp_path: Path, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    problems: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(str(context)))
    chance = random.Random(f"cancelled, {stream}")
    async with stage(tmp_path, **ASK) as on:
        whole = min([await _seconds(on, stream) for _ in range(WHOLE)])
        for _ in range(MOMENTS):
            await _cancelled(on, stream, chance.uniform(0, whole))
        assert await asyncio.to_thread(on.app.services.telemetry.flush)
        _check_spans(on)
        requests = on.server.log.count()
    assert findings(tmp_path / "store.db", requests, "answered", "cancelled") == []
    outcomes = Counter(row["outcome"] for row in books.table(tmp_path / "store.db", "turn"))
    assert outcomes["cancelled"] > MOMENTS / 6, "the moments are within a turn"
    gc.collect()
    assert problems == []
    assert [record for record in caplog.records if record.exc_info] == []


async def _asked(on: Stage, stream: bool) -> None:
    on.server.faults.clear()
    on.server.faults.push(asks_for_tools(stream))
    await on.app.ask(QUESTION, stream=stream, emit=on.emit)


async def _seconds(on: Stage, stream: bool) -> float:
    began = time.perf_counter()
    await _asked(on, stream)
    return time.perf_counter() - began


async def _cancelled(on: Stage, stream: bool, after: float) -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(_asked(on, stream))
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None
    assert on.app.services.pulse.live == set()
    assert metric(on.app, "agent_turns_active") == 0
    await until(lambda: not on.holds() and asyncio.all_tasks() <= before)


def _check_spans(on: Stage) -> None:
    """Every turn that was asked for has its span, every attempt that is booked is that of a call's; all have ended."""
    turns = books.table(on.store, "turn")
    spans = on.received.spans
    agents = Counter(str(span.attributes["agent.outcome"]) for span in spans if span.name.startswith("invoke_agent"))
    assert sum(agents.values()) == MOMENTS + WHOLE
    told = Counter(str(turn["outcome"]) for turn in turns)
    assert set(agents) == {"answered", "cancelled"}
    assert agents["answered"] <= told["answered"], "its answer may be written while it is cancelled"
    calls = {span.span_id for span in spans if span.name.startswith("chat")}
    assert {row["span_id"] for row in books.table(on.store, "ledger") if row["span_id"]} <= calls
    assert check(spans) == []
