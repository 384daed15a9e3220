"""Whatever a provider sends, the turn ends with a known outcome, the hold is ended and the conversation goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.offline.faults import Fault
from agent.types import Outcome, TurnResult
from tests.support import books, desk
from tests.support.conformance import Finding, check
from tests.support.odd import replies
from tests.support.stage import Stage, answer, left_over, stage

OUTCOMES = set(get_args(Outcome))
PROMPTLY = 10
"""Seconds. A turn here takes a few milliseconds; one that takes this long hangs."""


class Theatre:
    """A stage whose loop runs only while something is asked, so that Hypothesis can stand outside of it."""

    def __init__(self, runner: asyncio.Runner, on: Stage) -> None:
        self._runner = runner
        self._on = on
        self.store = on.store
        self.failures: list[str] = []
        runner.get_loop().set_exception_handler(lambda _, context: self.failures.append(str(context)))

    def play(self, faults: list[Fault], stream: bool) -> None:
        random.seed()  # Hypothesis resets it for every example, and with it would repeat trace ids
        self._runner.run(self._play(faults, stream))
        assert self.failures == []

    async def _play(self, faults: list[Fault], stream: bool) -> None:
        on = self._on
        before = asyncio.all_tasks()
        async with asyncio.timeout(PROMPTLY):
            on.server.faults.clear()  # what an example that failed has left
            on.server.faults.push(*faults)
            result = await on.app.ask("wifi", stream=stream, emit=on.emit)
            on.server.faults.clear()
            self._check(result)
            on.server.faults.push(answer(stream))
            following = await on.app.ask("And now?", stream=stream, conversation=result.conversation_id)
        assert following.outcome == "answered", (result, following)
        assert await left_over(before) == set()

    def _check(self, result: TurnResult) -> None:
        assert result.outcome in OUTCOMES - {"cancelled", "resumed_unknown"}
        assert (result.outcome == "answered") == (result.reason is None)
        assert result.outcome != "answered" or result.text
        rows = books.table(self._on.store, "ledger", where=("turn", result.turn_id))
        assert books.total(rows, "cost") == result.cost_nano_usd
        for row in rows:
            counts = [row[f"{name}_tokens"] for name in ("input", "cache_read", "cache_write", "output", "reasoning")]
            assert all(books.number(row[name]) >= 0 for name in ("cost", "bound", "tokens"))
            assert all(books.number(count) >= 0 for count in counts if count is not None)
            assert row["quality"] == "measured" or row["cost"] == row["bound"]
        assert self._on.holds() == []


def excused(finding: Finding) -> bool:
    """A reply may leave out what is recommended, such as the model's name, and state a cost without any tokens."""
    return finding.rule == "presence" or "missing on a measured call" in finding.detail


@pytest.fixture(name="theatre")
def _theatre(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Theatre]:
    """At its end: a span for every turn, every span as the contract has it, and nothing logged with a traceback."""
    desk.RUNS.clear()
    desk.blocked.set()
    opened = stage(
        tmp_path,
        budgets={},
        bounds={"usd_per_turn": 1000, "deadline_seconds": 5, "steps": 4},
        model={"timeouts": {"connect": 2, "first_byte": 2, "between": 2}},
    )
    with asyncio.Runner() as runner:
        on = runner.run(opened.__aenter__())
        with contextlib.ExitStack() as closing:
            closing.callback(lambda: runner.run(opened.__aexit__(None, None, None)))
            yield Theatre(runner, on)
            assert runner.run(asyncio.to_thread(on.app.services.telemetry.flush))
            turns = books.table(on.store, "turn")
            spans = on.received.spans
            assert sum(span.name == "invoke_agent desk" for span in spans) == len(turns)
            found = [finding for finding in check(spans) if not excused(finding)]
            assert found == []
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []


# The program's threads draw random numbers while Hypothesis draws its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # the text of that warning
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])
def test_any_replies(theatre: Theatre, stream: bool) -> None:
    """More than 500 of them, whole ones and streams, each followed by another turn of its conversation."""

    @settings(max_examples=260, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.lists(replies(), min_size=1, max_size=3))
    def any_replies(faults: list[Fault]) -> None:
        theatre.play(faults, stream)

    any_replies()
    assert len(books.table(theatre.store, "turn")) >= 2 * 260
