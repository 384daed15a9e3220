"""One measurement and one log line for each request, whatever it was."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.support.app import metric
from tests.support.serving import Desk, serving
from tests.support.until import until

COUNT = "http_server_request_duration_seconds_count"


LABELS = ("http_request_method", "http_route", "http_response_status_code")


def counted(desk: Desk, names: Sequence[str] = LABELS) -> dict[tuple[str, ...], int]:
    """How many requests there were, by these labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for family in desk.app.services.telemetry.registry.collect():
        for sample in family.samples:
            if sample.name == COUNT:
                found[tuple(sample.labels[name] for name in names)] += int(sample.value)
    return found


async def test_requests_are_measured_by_route_and_status(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        assert (await desk.ask()).status == 200
        async with desk.asking(stream=True) as response:
            await response.read()
        await desk.ask(n=2)
        for model in ("desk", "made-up-1", "made-up-2"):
            await desk.get(f"/v1/models/{model}")
        await desk.get("/made-up-3")
        for method in ("POST", "PROPFIND", "M-SEARCH"):
            await desk.get("/v1/turns/x", method=method)
        await desk.get("/healthz", headers={"host": "evil.example"})
        await until(lambda: sum(counted(desk).values()) == 11)
        assert counted(desk) == {
            ("POST", "/v1/chat/completions", "200"): 2,
            ("POST", "/v1/chat/completions", "400"): 1,
            ("GET", "/v1/models/{model}", "200"): 1,
            ("GET", "/v1/models/{model}", "404"): 2,
            ("GET", "", "404"): 1,
            ("POST", "/v1/turns/{turn_id}", "405"): 1,
            ("_OTHER", "/v1/turns/{turn_id}", "405"): 2,
            ("GET", "", "403"): 1,
        }


async def test_a_stream_is_measured_to_its_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        desk.service.keep_alive = 0.02
        gate = desk.model.gate()
        async with desk.asking(stream=True) as response:
            await response.content.readuntil(b"\n\n")
            assert counted(desk) == {}
            await gate.arrived()
            gate.release()
            await response.read()
        await until(lambda: counted(desk))
        assert metric(desk.app, "http_server_request_duration_seconds_sum") > 0.02


async def test_who_has_gone_has_no_status(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        gate = desk.model.gate()
        asking = asyncio.create_task(desk.ask())
        await gate.arrived()
        asking.cancel()
        await until(lambda: counted(desk))
        assert counted(desk) == {("POST", "/v1/chat/completions", ""): 1}
        gate.release()


async def test_why_a_request_failed(tmp_path: Path) -> None:
    """5xx, an error that came when the status was said, and a client that went; what is the client's own fault is no
    failure here."""
    async with serving(tmp_path) as desk:
        desk.model.faults.push(Fault("status", 400), Fault("error_chunk", 3))
        assert (await desk.ask(stream=True)).status == 503
        async with desk.asking(stream=True) as response:
            assert "provider_failed" in await response.text()
        await desk.ask()
        await desk.ask(n=2)
        desk.model.faults.push(Fault("gate", "half@3"))
        async with desk.asking(stream=True) as response:
            await response.content.readuntil(b"\n\n")
        names = ("url_scheme", "http_response_status_code", "error_type")
        await until(lambda: sum(counted(desk, names).values()) == 5)
        assert counted(desk, names) == {
            ("http", "503", "503"): 1,
            ("http", "200", "503"): 1,
            ("http", "200", ""): 1,
            ("http", "400", ""): 1,
            ("http", "200", "client_disconnected"): 1,
        }
        desk.model.gates.named("half").release()


async def test_a_line_for_each_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent.service")
    async with serving(tmp_path, keys={"k": {"name": "intranet"}}) as desk:
        answered = await desk.ask(headers={"authorization": "Bearer k"})
        await desk.get("/v1/secret?secret", headers={"authorization": "Bearer k"})
        await until(lambda: len(lines(caplog)) == 2)
    trace = answered.headers["x-trace-id"]
    first, second = lines(caplog)
    assert re.fullmatch(rf"POST /v1/chat/completions 200 \d+ ms key=intranet trace={trace}", first)
    assert re.fullmatch(r"GET - 404 \d+ ms key=intranet trace=None", second)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "agent.service"]
