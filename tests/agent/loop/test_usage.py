"""What turns are charged, whatever a provider says of its usage; streamed and not alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.support import books
from tests.support.app import metric, running_app

QUESTION = "My wifi is broken."
INPUT, OUTPUT = 1000, 2000
"""Nano-dollars for a token: the prices of `running_app`."""


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "quality", "at_bound"),
    [
        ("ok", "measured", False),
        ("no_usage", "estimated", True),
        ("cached_above_prompt", "unknown", True),
        ("garbled_usage", "unknown", True),
        ("hidden_tokens", "measured", False),
        ("stated_cost", "measured", False),
        ("stated_cost_object", "measured", False),
        ("usage_above_cap", "measured", False),
        ("service_tier", "measured", False),
        ("other_model", "measured", False),
    ],
)
async def test_charge(
    tmp_path: Path, server: OfflineModel, fault: str, quality: str, at_bound: bool, stream: bool
) -> None:
    server.faults.push(Fault.parse(fault))
    async with running_app(tmp_path, server, tools=[]) as app:
        result = await app.ask(QUESTION, stream=stream)
        [row] = books.table(app.settings.store, "ledger")
        breached = fault in ("usage_above_cap", "stated_cost", "stated_cost_object")
        assert metric(app, "agent_bound_breaches_total") == breached
    assert result.outcome == "answered"
    assert (row["quality"], row["cost"] == row["bound"]) == (quality, at_bound)
    assert result.cost_nano_usd == row["cost"]
    if quality != "measured":
        assert row["input_tokens"] is None
        assert (row["output_tokens"] is None) == (quality == "unknown")
        assert (result.usage.input_tokens, result.usage.output_tokens) == (None, None)
        return
    counted = books.number(row["output_tokens"])
    assert (result.usage.input_tokens, result.usage.output_tokens) == (row["input_tokens"], counted)
    priced = books.number(row["input_tokens"]) * INPUT + counted * OUTPUT
    if fault.startswith("stated_cost"):
        assert (row["cost"], row["price_source"], row["book_cost"]) == (12_300_000, "provider", priced)
    else:
        assert (row["cost"], row["price_source"], row["book_cost"]) == (priced, "ceiling", None)
        assert dict(json.loads(str(row["unit_prices"]))) == {"input": "0.000001", "output": "0.000002"}


async def test_streamed_and_unstreamed_are_the_same_turn(tmp_path: Path, server: OfflineModel) -> None:
    """The same journal, the same books: all but ids, times, digests, and bounds (the request says `stream`)."""
    unlike = {"id", "at", "ended", "turn", "conversation", "attempt", "call", "trace_id", "span_id", "writer"}
    unlike |= {"digest", "started_at", "answered_at", "charges", "n", "bound"}
    seen = []
    for name, stream in (("a", True), ("b", False)):
        (tmp_path / name).mkdir()
        server.faults.push(Fault("status", 503), Fault("ok"), Fault("parallel_calls", 3))
        async with running_app(tmp_path / name, server) as app:
            result = await app.ask(QUESTION, stream=stream)
        path = tmp_path / name / "store.db"
        rows = books.table(path, "step", "position") + books.table(path, "ledger", "id")
        alike = [{key: value for key, value in row.items() if key not in unlike} for row in rows]
        seen.append((result.outcome, result.text, result.usage, result.cost_nano_usd, alike))
    assert seen[0] == seen[1]
    assert len(seen[0][4]) == 3 + 4 + 4


@pytest.mark.parametrize(
    ("answers", "booked"),
    [("gpt-4o-mini", [("measured", True)]), ("nobody-knows-it", [("unknown", False), ("unknown", False)])],
)
async def test_a_free_model_that_another_answers_for_is_a_breach(
    tmp_path: Path,
    server: OfflineModel,
    caplog: pytest.LogCaptureFixture,
    answers: str,
    booked: list[tuple[str, bool]],
) -> None:
    """Charged in full where the price book knows the other one, and then refused; told of where it does not."""
    server.faults.push(*[Fault("other_model", answers)] * 2)
    free = {"free": True, "ceiling_usd_per_mtok": None}
    async with running_app(tmp_path, server, model=free, budgets={"everything": "0.000001"}) as app:
        result = await app.ask("My wifi is broken.")
        rows = books.table(app.settings.store, "ledger")
        assert [(row["quality"], books.number(row["cost"]) > 0) for row in rows] == booked
        assert metric(app, "agent_bound_breaches_total") == len(rows)
        assert (result.outcome == "refused_budget") == ("measured" in booked[0])
        assert caplog.text.count("nobody knows its price") == (0 if result.refused else 2)


async def test_free_and_unlimited(tmp_path: Path, server: OfflineModel) -> None:
    free = {"free": True, "ceiling_usd_per_mtok": None}
    async with running_app(tmp_path, server, model=free, budgets={}) as app:
        result = await app.ask(QUESTION)
        assert (result.outcome, result.cost_nano_usd) == ("answered", 0)
        assert {row["price_source"] for row in books.table(app.settings.store, "ledger")} == {"free"}
        assert books.replay(app.settings.store) == []


async def test_the_bound_learns_from_the_last_count(tmp_path: Path, server: OfflineModel) -> None:
    """The second call's hold is what the first really cost, plus what was added since."""
    async with running_app(tmp_path, server) as app:
        await app.ask(QUESTION)
        first, second = books.table(app.settings.store, "ledger", "id")
    assert books.number(second["bound"]) < books.number(first["bound"])
    for row in (first, second):
        assert books.number(row["cost"]) <= books.number(row["bound"])
