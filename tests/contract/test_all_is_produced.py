"""Nothing of the contract is only declared: every attribute is on some span, every failure has a label of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import TABLE, Fault
from agent.types import Caller, Json
from telemetry.labels import OTHER_ERROR
from tests.stories.support import QUESTION, Collector, telling
from tests.support.app import Values
from tests.support.conformance import never_seen
from tests.support.received import Received
from tests.support.stage import answer, call, calls

LATER = {
    "invoke_agent": set(),
    "chat": {"gen_ai.conversation.compacted", "gen_ai.request.choice.count"},  # `n` is never sent
    "execute_tool": set(),
}
PARAMETERS: Values = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 7,
    "stop": "END",
    "reasoning_effort": "low",
    "service_tier": "flex",
}
CACHED: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
TIMEOUTS: Values = {
    "timeouts": {"connect": 5, "first_byte": 0.5, "between": 0.5},
    "retries": {"attempts": 1},
}
WAITING = ("stall", "slow", "gate")


@pytest.fixture(name="http_collector")
def _http_collector(otlp_http: Received) -> Collector:
    return Collector(otlp_http)


async def test_every_attribute(tmp_path: Path, http_collector: Collector) -> None:
    async with telling(tmp_path, http_collector, model={"parameters": dict(PARAMETERS)}) as told:
        told.server.faults.push(
            Fault("status", 503),
            calls(True, call("search_kb", "{}", "call_1")),
            answer(True, usage=CACHED, service_tier="flex", system_fingerprint="fp_1"),
            Fault("status", 401),
        )
        for _ in range(2):
            await told.app.ask(QUESTION, caller=Caller(user="u-1"))
    unseen = {operation: never_seen(http_collector.received.spans, operation) for operation in LATER}
    assert unseen == LATER
    assert http_collector.findings() == []


@pytest.mark.parametrize("stream", [True, False])
async def test_every_failure_has_a_label_of_its_own(tmp_path: Path, http_collector: Collector, stream: bool) -> None:
    async with telling(tmp_path, http_collector, tools=["tests.support.desk"], model=TIMEOUTS) as told:
        for name in TABLE.keys() - set(WAITING):
            told.server.faults.push(Fault(name))
            await told.app.ask(QUESTION, stream=stream)
        nameless = [Fault.raw_body(b"", status) for status in (400, 404, 422, 500, 502, 503)]
        told.server.faults.push(Fault("stall"), Fault("slow", 5.0), *nameless)
        while len(told.server.faults):
            await told.app.ask(QUESTION, stream=stream)
    errors = {
        str(point.attributes["error.type"])
        for metric in http_collector.received.metrics.values()
        for point in metric.points
        if "error.type" in point.attributes
    }
    assert len(errors) > 15
    assert OTHER_ERROR not in errors, errors
    assert http_collector.findings() == []
