"""Retries, fallbacks and what may not be tried again; every attempt has its row in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.app import App
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.types import Event, Json, Retrying, TextDelta, ToolFinished
from tests.support import books
from tests.support.app import metric, running_app

QUESTION = "My wifi is broken."


class Shown(list[Event]):
    """What a reader saw."""

    async def __call__(self, event: Event) -> None:
        self.append(event)

    def retries(self) -> list[Retrying]:
        return [event for event in self if isinstance(event, Retrying)]

    def text(self) -> str:
        return "".join(event.text for event in self if isinstance(event, TextDelta))


def booked(app: App) -> list[tuple[books.Value, ...]]:
    rows = books.table(app.settings.store, "ledger", "id")
    return [tuple(row[name] for name in ("model", "number", "kind", "quality")) for row in rows]


@pytest.mark.parametrize(
    ("fault", "kind", "quality"),
    [
        ("status:500", "attempt", "unknown"),
        ("status:503", "release", "measured"),
        ("status:429", "release", "measured"),
        ("reset", "attempt", "unknown"),
        ("html", "attempt", "unknown"),
        ("error_200", "attempt", "unknown"),
        ("tool_use_failed", "attempt", "unknown"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_tries_again(
    tmp_path: Path, server: OfflineModel, fault: str, kind: str, quality: str, stream: bool
) -> None:
    server.faults.push(Fault.parse(fault))
    shown = Shown()
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION, stream=stream, emit=shown)
        first, second, third = books.table(app.settings.store, "ledger", "id")
        assert metric(app, "agent_retries_total") == 1
    assert result.outcome == "answered"
    assert (first["kind"], first["quality"]) == (kind, quality)
    assert (first["cost"] == first["bound"]) if kind == "attempt" else (first["cost"] == 0)
    assert first["call"] == second["call"] != third["call"]
    assert (first["number"], second["number"], third["number"]) == (1, 2, 1)
    assert [retry.error_type for retry in shown.retries()] == [first["outcome"]]
    assert result.cost_nano_usd == books.total([first, second, third], "cost")


async def test_gives_up_after_its_attempts(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 500, times=3))
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION)
        assert result.outcome == "provider_failed"
        assert result.reason
        assert result.reason.startswith("small: server_error")
        rows = books.table(app.settings.store, "ledger")
        assert [row["number"] for row in rows] == [1, 2, 3]
        assert result.cost_nano_usd == books.total(rows, "cost") == books.total(rows, "bound")
        assert (result.usage.input_tokens, result.usage.output_tokens) == (None, None)
    assert server.log.count() == 3


@pytest.mark.parametrize("fault", ["status:401", "status:400", "status:404", "quota"])
async def test_some_failures_are_final(tmp_path: Path, server: OfflineModel, fault: str) -> None:
    server.faults.push(Fault.parse(fault))
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION)
    assert (result.outcome, result.cost_nano_usd) == ("provider_failed", 0)
    assert server.log.count() == 1


class TestRetryAfter:
    async def test_is_waited_for(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("status", 429, headers={"retry-after-ms": "120"}))
        shown = Shown()
        async with running_app(tmp_path, server) as app:
            assert (await app.ask(QUESTION, emit=shown)).outcome == "answered"
        assert [retry.delay for retry in shown.retries()] == [0.12]
        first, second, *_ = server.log.accesses
        assert second.at - first.at >= 0.12

    async def test_beyond_the_deadline_is_not(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("status", 429, headers={"retry-after": "3600"}))
        async with running_app(tmp_path, server) as app:
            assert (await app.ask(QUESTION)).outcome == "provider_failed"
        assert server.log.count() == 1

    async def test_beyond_the_deadline_goes_on_to_the_next_model(self, tmp_path: Path, server: OfflineModel) -> None:
        server.faults.push(Fault("status", 429, headers={"retry-after": "3600"}))
        async with running_app(tmp_path, server, chain={"spare": {}}) as app:
            result = await app.ask(QUESTION)
        assert result.outcome == "answered"
        assert result.models == ("spare", "small")


class TestFallback:
    async def test_after_the_attempts_are_used_up(self, tmp_path: Path, server: OfflineModel) -> None:
        shown = Shown()
        broken: Mapping[str, Json] = {"base_url": server.faulty_url("status:500")}
        async with running_app(tmp_path, server, model=broken, chain={"spare": {"base_url": server.base_url}}) as app:
            result = await app.ask(QUESTION, emit=shown)
            calls = {(row["call"], row["model"], row["number"]) for row in books.table(app.settings.store, "ledger")}
            assert metric(app, "agent_fallbacks_total") == 2
            assert booked(app)[:4] == [
                *(("small", n, "attempt", "unknown") for n in (1, 2, 3)),
                ("spare", 1, "attempt", "measured"),
            ]
        assert (result.outcome, result.models) == ("answered", ("spare",))
        assert len({call for call, *_ in calls}) == 4, "a fallback is a call of its own"
        assert [retry.model for retry in shown.retries()] == [None, None, "spare"] * 2

    async def test_not_for_what_another_model_would_hide(self, tmp_path: Path, server: OfflineModel) -> None:
        refusing: Mapping[str, Json] = {"base_url": server.faulty_url("status:401")}
        async with running_app(tmp_path, server, model=refusing, chain={"spare": {}}) as app:
            assert (await app.ask(QUESTION)).outcome == "provider_failed"
        assert {access.model for access in server.log.accesses} == {"small"}

    async def test_unless_it_is_configured(self, tmp_path: Path, server: OfflineModel) -> None:
        refusing: Mapping[str, Json] = {"base_url": server.faulty_url("status:401"), "fallback_on": ["auth"]}
        async with running_app(tmp_path, server, model=refusing, chain={"spare": {"base_url": server.base_url}}) as app:
            assert (await app.ask(QUESTION)).outcome == "answered"

    async def test_all_of_the_chain_fails(self, tmp_path: Path, server: OfflineModel) -> None:
        broken: Mapping[str, Json] = {"base_url": server.faulty_url("status:503")}
        async with running_app(tmp_path, server, model=broken, chain={"spare": {}}) as app:
            result = await app.ask(QUESTION)
            assert (result.outcome, result.cost_nano_usd) == ("provider_failed", 0)
            assert result.reason == "small: server_error: server_error; spare: server_error: server_error"
        assert [access.model for access in server.log.accesses] == ["small"] * 3 + ["spare"] * 3

    async def test_is_paid_from_the_same_budget(self, tmp_path: Path, server: OfflineModel) -> None:
        """A free model's paid fallback is refused like any other call."""
        free: Mapping[str, Json] = {
            "base_url": server.faulty_url("status:503"),
            "free": True,
            "ceiling_usd_per_mtok": None,
        }
        spare: Mapping[str, Json] = {"base_url": server.base_url, "free": False, "ceiling_usd_per_mtok": [1, 2]}
        budgets = {"everything": "0.00000001"}
        async with running_app(tmp_path, server, model=free, chain={"spare": spare}, budgets=budgets) as app:
            assert (await app.ask(QUESTION)).outcome == "refused_budget"
        assert {access.model for access in server.log.accesses} == {"small"}


@pytest.mark.parametrize("fault", ["cut:4", "error_chunk:4", "error_event:4", "malformed:4", "truncated"])
async def test_a_stream_that_has_shown_text_is_not_begun_again(
    tmp_path: Path, server: OfflineModel, fault: str
) -> None:
    server.faults.push(Fault.parse(fault))
    shown = Shown()
    async with running_app(tmp_path, server, tools=[], chain={"spare": {}}) as app:
        result = await app.ask(QUESTION, emit=shown)
        [row] = books.table(app.settings.store, "ledger")
    assert result.outcome == "provider_failed"
    assert shown.text()
    assert shown.retries() == []
    assert (row["cost"], row["quality"]) == (row["bound"], "estimated")
    assert server.log.count() == 1


async def test_a_refusal_between_two_attempts_ends_the_call(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 500))
    async with running_app(tmp_path, server, budgets={"everything": "0.0015"}) as app:
        result = await app.ask(QUESTION)
        [row] = books.table(app.settings.store, "ledger")
        assert row["cost"] == row["bound"] == result.cost_nano_usd
        assert (
            result.outcome == "provider_failed"
        )  # the last attempt's error; why there was no other one is said as well
        assert books.table(app.settings.store, "hold") == []
    assert server.log.count() == 1


async def test_events_in_order(tmp_path: Path, server: OfflineModel) -> None:
    shown = Shown()
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION, emit=shown)
    names = [type(event).__name__ for event in shown]
    assert names[:2] == ["ToolStarted", "ToolFinished"]
    assert set(names[2:]) == {"TextDelta"}
    assert shown.text() == result.text
    assert isinstance(shown[1], ToolFinished)
    assert shown[1].result.error_type is None
