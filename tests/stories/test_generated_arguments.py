"""A thousand tool calls with arguments as models make them up, in whole turns: each has a result, none ends one."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.types import ToolFinished
from tests.support import books, desk
from tests.support.odd import ODD, json_of
from tests.support.stage import Stage, answer, call, calls, stage

TOOLS = {"search_kb": "query", "order_part": "name"}
KNOWN = {None, "invalid_arguments", "same", "cycle", "not_run"}
"""Every `error_type` that a call of a known tool may end with here; `search_kb` itself may raise a `tool_error`."""

GOOD = st.fixed_dictionaries({}, optional={name: st.text(max_size=20) | ODD for name in [*TOOLS.values(), "other"]})
TEXTS = st.one_of(
    GOOD.map(lambda value: json_of(value).decode()),
    st.tuples(GOOD, st.integers(0, 30)).map(lambda pair: json_of(pair[0]).decode()[: pair[1]]),
    ODD.map(lambda value: json_of(value).decode()),
    st.text(max_size=30),
    st.sampled_from(
        ["", "null", "{}", "[]", "{'query': 'wifi'}", '{"query": "wifi"}{"query": "vpn"}', '{"query": "a",}']
    ),
    st.sampled_from(
        ['```json\\n{"query": "wifi"}\\n```', '<tool>{"query": "wifi"}</tool>', '{"query": "a", "query": "b"}']
    ),
)
ARGUMENTS = TEXTS | GOOD | st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2)
"""As text, which is how it should be, and as the value itself, which some servers send."""

REPLIES = st.lists(st.tuples(st.sampled_from(sorted(TOOLS)), ARGUMENTS), min_size=6, max_size=8)


async def play(on: Stage, asked: list[tuple[str, object]], stream: bool) -> int:
    """How many results the model was given."""
    random.seed()  # Hypothesis resets it for every example, and with it would repeat trace ids
    desk.RUNS.clear()
    on.events.clear()
    on.server.faults.clear()  # what an example that failed has left
    on.server.faults.push(calls(stream, *(call(name, given, f"c{n}") for n, (name, given) in enumerate(asked))))
    on.server.faults.push(answer(stream))
    async with asyncio.timeout(10):
        result = await on.app.ask("wifi", stream=stream, emit=on.emit)
    assert result.outcome == "answered", result
    told = [event.result for event in on.events if isinstance(event, ToolFinished)]
    assert {one.error_type for one in told} <= KNOWN | {"tool_error"}
    assert all(one.content for one in told)
    may_run = sum(valid(name, given) for name, given in asked)
    assert desk.RUNS.total() == sum(one.error_type in (None, "tool_error") for one in told) <= may_run
    assert on.holds() == []
    steps = books.table(on.store, "step", where=("turn", result.turn_id))
    first = books.table(on.store, "ledger", where=("turn", result.turn_id))[0]
    read = first["outcome"] == "ok"
    assert read or first["outcome"] in ("not_json", "bad_event")  # a value itself, nested beyond what any reader takes
    assert [step["state"] for step in steps] == ["answered"] * (len(asked) + 2 if read else 1)
    return len(asked) if read else 0


def valid(name: str, given: object) -> bool:
    """Whether a person would say that these arguments are what the tool asks for."""
    try:
        value = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() == {TOOLS[name]} and isinstance(value[TOOLS[name]], str)


# The program's threads draw random numbers while Hypothesis draws its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # the text of that warning
def test_any_arguments(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk.blocked.set()
    results = 0
    with asyncio.Runner() as runner:
        opened = stage(tmp_path, budgets={}, bounds={"usd_per_turn": 1000}, model={"context_window": 1_000_000})
        on = runner.run(opened.__aenter__())
        try:

            @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
            @given(REPLIES, st.booleans())
            def any_arguments(asked: list[tuple[str, object]], stream: bool) -> None:
                nonlocal results
                results += runner.run(play(on, asked, stream))

            any_arguments()
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert results >= 1000
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
