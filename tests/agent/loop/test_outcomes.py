"""Every way in which a turn ends, by the whole agent and the stand-in."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent.app import App
from agent.models.estimate import _encoding
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.types import Json, TurnResult
from tests.support import books, desk
from tests.support.app import metric, running_app

QUESTION = "My wifi is broken."
DIFFERENT = Fault("cycle", 99, times=99)
"""Every reply asks for another search, as long as there are tools."""


@pytest.fixture(name="no_encoding")
def _no_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "none"))
    _encoding.cache_clear()
    yield
    _encoding.cache_clear()


async def asked(app: App, text: str = QUESTION, *, stream: bool = True) -> TurnResult:
    """A turn, and that the store says the same of it as its result."""
    result = await app.ask(text, stream=stream)
    path = app.settings.store
    [turn] = [row for row in books.table(path, "turn") if row["id"] == result.turn_id]
    assert (turn["state"], turn["outcome"]) == ("done", result.outcome)
    detail = result.refused.detail() if result.refused else None
    assert json.loads(str(turn["result"])) == {"text": result.text, "reason": result.reason, "detail": detail}
    booked = [row for row in books.table(path, "ledger") if row["turn"] == result.turn_id]
    measured = [row for row in booked if row["quality"] == "measured" and row["kind"] != "release"]
    assert result.cost_nano_usd == books.total(booked, "cost")
    assert (result.usage.input_tokens or 0) == books.total(measured, "input_tokens")
    assert (result.usage.output_tokens or 0) == books.total(measured, "output_tokens")
    assert books.table(path, "hold") == []
    assert books.replay(path) == []
    assert (result.reason is None) == (result.outcome == "answered")
    return result


def steps(app: App, result: TurnResult) -> list[books.Value]:
    rows = books.table(app.settings.store, "step", "turn, position")
    return [row["key"] for row in rows if row["turn"] == result.turn_id]


@pytest.mark.parametrize("stream", [True, False])
async def test_answered(tmp_path: Path, server: OfflineModel, stream: bool) -> None:
    async with running_app(tmp_path, server) as app:
        result = await asked(app, stream=stream)
        assert result.outcome == "answered"
        assert result.text
        assert "turn it off and on again" in result.text
        assert result.models == ("small",)
        assert result.cost_nano_usd > 0
        assert (result.prompt_name, result.prompt_version, result.agent) == ("desk", "1", "desk")
        assert steps(app, result) == ["m0", "m0.t0", "m1"]


class TestBudget:
    async def test_refused_before_the_first_call(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server, budgets={"tiny": "0.000000001"}) as app:
            result = await asked(app)
            assert (result.outcome, result.text, result.cost_nano_usd) == ("refused_budget", None, 0)
            assert result.reason
            assert result.reason.startswith("budget tiny: limit $0.000000, charged $0.000000, held $0.000000;")
            assert result.refused
            assert (result.refused.budget, result.refused.limit, result.refused.charged) == ("tiny", 1, 0)
        assert server.log.count() == 0

    @pytest.mark.parametrize("where", ["turn", "everything"])
    async def test_refused_in_the_middle(self, tmp_path: Path, server: OfflineModel, where: str) -> None:
        server.faults.push(Fault("stated_cost", 4.9999))
        limits = {"turn": 5, "everything": 1000} if where == "turn" else {"turn": 1000, "everything": 5}
        overrides: dict[str, Json] = {"usd_per_turn": limits["turn"]}
        async with running_app(tmp_path, server, bounds=overrides, budgets={"everything": limits["everything"]}) as app:
            result = await asked(app)
            assert (result.outcome, result.cost_nano_usd) == ("refused_budget", 4_999_900_000)
            assert result.reason
            assert f"budget {where}: limit $5.000000, charged $4.999900" in result.reason
            assert steps(app, result) == ["m0", "m0.t0"]
        assert server.log.count() == 1

    async def test_cap_is_lowered_to_what_is_left(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("usage_above_cap", 0))  # it says everything that it may say
        async with running_app(tmp_path, server, budgets={"everything": "0.0015"}) as app:
            await asked(app)
            first, *_ = books.table(app.settings.store, "ledger")
            cap = books.number(first["output_tokens"])
            assert 16 <= cap < 1000
            left = 1_500_000 - books.number(first["bound"])
            assert 0 <= left < 2000, "less than one more token"

    async def test_breach_is_booked_in_full_and_then_everything_is_refused(
        self, tmp_path: Path, server: OfflineModel
    ) -> None:
        server.faults.push(Fault("usage_above_cap", 1_000_000))
        async with running_app(tmp_path, server, budgets={"everything": 1}) as app:
            first = await asked(app)
            assert first.outcome == "refused_budget"
            assert first.cost_nano_usd > 2_000_000_000
            assert (await asked(app)).outcome == "refused_budget"
            assert metric(app, "agent_bound_breaches_total") == 1
        assert server.log.count() == 1

    async def test_two_budgets_of_one_scope_count_once(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server, budgets={"company": 10, "trial": 5}) as app:
            result = await asked(app)
            [counter] = [row for row in books.table(app.settings.store, "counter") if row["budget"] == 1]
            assert counter["settled"] == result.cost_nano_usd


class TestLimits:
    @pytest.mark.parametrize(
        ("bounds", "outcome", "reason"),
        [
            ({"steps": 3}, "limit_steps", "the limit of 3 steps was reached (bounds.steps)"),
            ({"tool_calls": 2}, "limit_tools", "the limit of 2 tool calls was reached (bounds.tool_calls)"),
        ],
    )
    async def test_the_last_call_has_no_tools(
        self, tmp_path: Path, server: OfflineModel, bounds: Mapping[str, Json], outcome: str, reason: str
    ) -> None:
        server.faults.push(DIFFERENT)
        async with running_app(tmp_path, server, bounds=bounds) as app:
            result = await asked(app)
            assert (result.outcome, result.reason) == (outcome, reason)
            assert result.text, "it said what it had found"
            assert steps(app, result) == ["m0", "m0.t0", "m1", "m1.t0", "m2"]
        assert [min(access.tools, 1) for access in server.log.accesses] == [1, 1, 0]

    async def test_no_tool_calls_allowed(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server, bounds={"tool_calls": 0}) as app:
            assert (await asked(app)).outcome == "limit_tools"
        assert not desk.RUNS

    async def test_deadline_in_a_call(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("stall", 1))
        async with running_app(tmp_path, server, bounds={"deadline_seconds": 0.3}) as app:
            result = await asked(app)
            assert (result.outcome, result.text) == ("limit_time", None)
            [row] = books.table(app.settings.store, "ledger")
            assert (row["outcome"], row["cost"]) == ("deadline", row["bound"])
        assert server.log.count() == 1

    async def test_deadline_is_near(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("slow", 1.65))
        async with running_app(tmp_path, server, bounds={"deadline_seconds": 2}) as app:
            result = await asked(app)
            assert result.outcome == "limit_time"
            assert result.reason == "the deadline of 2 s was reached (bounds.deadline_seconds)"
            assert result.text
        assert [min(access.tools, 1) for access in server.log.accesses] == [1, 0]

    async def test_deadline_in_a_tool(self, tmp_path: Path, server: OfflineModel) -> None:
        """The tool is told off when the time is up, and nothing more is begun."""
        desk.meeting.open = asyncio.Event()
        server.faults.push(Fault("parallel_calls", 2))
        async with running_app(tmp_path, server, bounds={"deadline_seconds": 0.4, "parallel_tools": 1}) as app:
            result = await asked(app)
            assert result.outcome == "limit_time"
            told = [str(row["answer"]) for row in books.table(app.settings.store, "step", "position")][1:]
            assert "timeout" in told[0]
            assert "not_run" in told[1]
        assert len(desk.RUNS) == 1

    @pytest.mark.parametrize("fault", ["finish:length", "reasoning_only"])
    async def test_answer_that_was_cut(self, tmp_path: Path, server: OfflineModel, fault: str) -> None:
        server.faults.push(Fault("ok"), Fault.parse(fault))
        async with running_app(tmp_path, server) as app:
            result = await asked(app)
            assert result.outcome == "limit_tokens"
            assert result.reason
            assert "(bounds.output_tokens is " in result.reason
            assert bool(result.text) == (fault != "reasoning_only")


class TestRepeating:
    @pytest.mark.parametrize(
        ("fault", "ran"),
        [("repeated_calls", 2), ("cycle:2", 3), ("cycle:3", 5), ("unknown_tool", 0), ("malformed_arguments", 0)],
    )
    async def test_ends_after_two_warnings(self, tmp_path: Path, server: OfflineModel, fault: str, ran: int) -> None:
        played = Fault.parse(fault)
        server.faults.push(*[played] * 30)
        async with running_app(tmp_path, server, bounds={"steps": 30, "tool_calls": 60}) as app:
            result = await asked(app)
            assert result.outcome == "repeating"
            answers = [str(row["answer"]) for row in books.table(app.settings.store, "step", "position")]
            warnings = [a for a in answers if '"error_type":"same"' in a or '"error_type":"cycle"' in a]
            assert len(warnings) == 2
        assert sum(desk.RUNS.values()) == ran

    async def test_a_warning_is_enough_for_a_model_that_listens(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("repeated_calls", times=3))
        async with running_app(tmp_path, server) as app:
            assert (await asked(app)).outcome == "answered"


class TestContextFull:
    async def test_before_the_call(self, tmp_path: Path, server: OfflineModel) -> None:
        model: Mapping[str, Json] = {"context_window": 2000, "output_cap": 1000}
        async with running_app(tmp_path, server, model=model) as app:
            result = await asked(app, "Please help me. " * 1000)
            assert (result.outcome, result.cost_nano_usd) == ("context_full", 0)
            assert result.reason
            assert re.fullmatch(
                r"small: about 4,1\d\d tokens leave no room for an answer in the window of 2,000; "
                "say less, or begin a new conversation",
                result.reason,
            ), "by the encoding, or by bytes where there is none"
        assert server.log.count() == 0

    @pytest.mark.usefixtures("no_encoding")
    async def test_bytes_alone_refuse_nothing_that_fits(self, tmp_path: Path, server: OfflineModel) -> None:
        """Without an encoding, more bytes than the window has tokens are not yet too much."""
        async with running_app(tmp_path, server, model={"context_window": 8000, "output_cap": 1000}) as app:
            assert (await asked(app, "Please help me. " * 1000)).outcome == "answered"

    @pytest.mark.parametrize("form", [1, 2, 3, 4])
    async def test_as_the_provider_says(self, tmp_path: Path, server: OfflineModel, form: int) -> None:
        server.faults.push(Fault("context_overflow", form))
        async with running_app(tmp_path, server) as app:
            result = await asked(app)
            assert (result.outcome, result.cost_nano_usd) == ("context_full", 0)
            assert [row["kind"] for row in books.table(app.settings.store, "ledger")] == ["release"]


async def test_content_filtered(tmp_path: Path, server: OfflineModel) -> None:
    refusal: Json = {"error": {"message": "no", "type": "invalid_request_error", "code": "content_filter"}}
    server.faults.push(Fault("content_filter"), Fault.raw_json(refusal, 400))
    async with running_app(tmp_path, server) as app:
        for _ in range(2):
            assert (await asked(app)).outcome == "content_filtered"


@pytest.mark.parametrize("fault", ["no_choices", "finish:stop"])
async def test_nothing_said_is_no_answer(tmp_path: Path, server: OfflineModel, fault: str) -> None:
    empty: Json = {"id": "x", "object": "chat.completion", "model": "small", "choices": []}
    played = Fault.raw_json(empty) if fault == "no_choices" else Fault.parse(fault)
    server.faults.push(*[played] * 3)
    async with running_app(tmp_path, server, tools=[]) as app:
        result = await asked(app, stream=False)
        assert result.outcome == ("provider_failed" if fault == "no_choices" else "answered")
