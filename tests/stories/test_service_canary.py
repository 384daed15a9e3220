"""What is not to be seen is not seen: a canary in all that a client of the service can send.

Logs are at DEBUG, where libraries print whole requests.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.types import Json
from telemetry import logs
from tests.stories.support import Collector
from tests.support.received import Received
from tests.support.serving import Desk, serving
from tests.support.stage import answer

CANARY = "canary-7f3a"
KEY = f"agk_{CANARY}"
BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(name="log")
def _log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


async def test_a_canary_goes_nowhere(
    tmp_path: Path, otlp_http: Received, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.service.auth._FIRST_WAIT", 0.001)
    collector = Collector(otlp_http)
    async with serving(tmp_path, keys={KEY: {"user_header": "x-user"}}, env=collector.env) as desk:
        for stream in (False, True):
            await answered(desk, stream)
            await refused(desk, stream)
            await failed(desk, stream)
        await lost(desk)
        await raw(desk)
    assert CANARY not in log.getvalue()
    assert CANARY.encode() not in otlp_http.raw
    assert "POST /v1/chat/completions 200" in log.getvalue()
    assert collector.findings() == []
    statuses = {
        str(point.attributes["http.response.status_code"])
        for point in otlp_http.metrics["http.server.request.duration"].points
    }
    assert statuses == {"200", "400", "401", "404", "415", "422", "503"}


async def answered(desk: Desk, stream: bool) -> None:
    """Whoever asked sees his own words, and they go nowhere else."""
    desk.model.faults.push(answer(stream, CANARY))
    headers = {
        **BEARER,
        "idempotency-key": f"{CANARY}-{stream}",
        "traceparent": f"00-{CANARY}",
        "tracestate": CANARY,
        "baggage": f"a={CANARY}",
        "user-agent": CANARY,
        "x-request-id": CANARY,
        "cookie": CANARY,
    }
    messages: list[Json] = [
        {"role": "assistant", "content": CANARY},
        {"role": "tool", "content": CANARY, "tool_call_id": CANARY},
        {"role": "user", "content": CANARY, "name": CANARY},
    ]
    more: dict[str, Json] = {"user": CANARY, "metadata": {CANARY: CANARY}, CANARY: CANARY}
    async with desk.asking(headers=headers, stream=stream, messages=messages, more=more) as response:
        assert response.status == 200
        assert CANARY in await response.text()


async def refused(desk: Desk, stream: bool) -> None:
    cases: list[tuple[int, dict[str, Json]]] = [
        (404, {"model": CANARY}),
        (404, {"metadata": {"conversation_id": CANARY}}),
        (400, {"messages": [{"role": CANARY, "content": CANARY}]}),
        (400, {"messages": [{"role": "user", "content": [{"type": CANARY}]}]}),
        (400, {"max_tokens": CANARY}),
        (400, {"tools": [CANARY]}),
    ]
    for status, body in cases:
        assert (await desk.ask(CANARY, headers=BEARER, stream=stream, more=body)).status == status
    wrong = {"authorization": f"Bearer wrong-{CANARY}"}
    unknown = await desk.ask(CANARY, headers=wrong, stream=stream)
    assert unknown.status == 401
    assert CANARY not in str(unknown.body) + str(unknown.headers)
    reused = {**BEARER, "idempotency-key": f"{CANARY}-{stream}"}
    assert (await desk.ask(CANARY, headers=reused, stream=stream)).status == 422


async def failed(desk: Desk, stream: bool) -> None:
    """What a provider says of its failure is not for the client either."""
    desk.model.faults.push(Fault.raw_json({"error": {"message": CANARY, "type": "server_error", "param": CANARY}}, 400))
    answered = await desk.ask("Hello", headers=BEARER, stream=stream)
    assert answered.status == 503
    assert CANARY not in str(answered.body) + str(answered.headers)


async def lost(desk: Desk) -> None:
    for path in (f"/{CANARY}", f"/v1/models/{CANARY}", f"/v1/turns/{CANARY}", f"/v1/{CANARY}?{CANARY}={CANARY}"):
        assert (await desk.get(path, headers=BEARER)).status == 404
    missing = await desk.get(f"/{CANARY}/", headers={**BEARER, "host": CANARY})
    assert CANARY not in str(missing.body) + str(missing.headers)


async def raw(desk: Desk) -> None:
    url = f"{desk.served.url}/chat/completions"
    for body, kind in ((CANARY.encode(), "application/json"), (b"{}", f"text/{CANARY}"), (b'{"a', "application/json")):
        headers = {**BEARER, "content-type": kind, f"x-{CANARY}": CANARY}
        async with desk.http.post(url, data=body, headers=headers) as response:
            assert response.status in (400, 415)
            assert CANARY not in await response.text()
