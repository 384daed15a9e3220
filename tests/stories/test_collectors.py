"""A collector that is down, slow, hanging or talking nonsense costs the telemetry, never a turn: invariant 7."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.offline.server import OfflineModel
from telemetry.content import CAPTURE_SWITCH
from telemetry.exporters import Telemetry
from tests.stories.support import HELPDESK, QUESTION, Collector, telling
from tests.support import books, otlp
from tests.support.app import write_config
from tests.support.conformance import check
from tests.support.processes import Processes
from tests.support.received import Mode

TURNS = 20
SPANS = 5
"""Of one turn: the agent's, two calls, two tools."""

LOST = {"refuse": True, "hang": True, "503": True, "garbage": False, "slow": False}
"""Whether the spans are lost. What answers nonsense with status 200 has taken them, for all that can be known."""


@pytest.mark.parametrize("mode", LOST)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_turns_go_on_and_what_is_lost_is_counted(tmp_path: Path, mode: Mode, protocol: str) -> None:
    collecting = otlp.otlp_grpc if protocol == "grpc" else otlp.otlp_http
    with collecting(mode, delay=0.05) as received:
        env = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.3", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        async with telling(tmp_path, Collector(received), env=env) as told:
            results = await asyncio.gather(*(told.app.ask(QUESTION) for _ in range(TURNS)))
            telemetry = told.app.services.telemetry
    assert {result.outcome for result in results} == {"answered"}
    assert len({result.text for result in results}) == 1
    lost = LOST[mode] or (protocol == "grpc" and mode == "garbage")
    assert dropped(telemetry, "traces") == ({"export_failed": TURNS * SPANS} if lost else {})
    assert len(received.spans) == (TURNS * SPANS if mode == "slow" else 0)


def dropped(telemetry: Telemetry, of: str) -> Mapping[str, int]:
    return {
        sample.labels["agent_reason"]: int(sample.value)
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == "agent_telemetry_dropped_total" and sample.labels["agent_signal"] == of
    }


HUNG = """
import gc, json, os
from telemetry.exporters import setup
from agent.types import Message
from tests.telemetry.samples import ATTEMPT, CALL, KNOWN

SAID = [Message("user", "x" * 5_600)] * 10  # 56 kB
telemetry = setup(os.environ, version="1", known=KNOWN)

def turn():
    with telemetry.spans.invoke_agent("helpdesk", "turn", conversation_id="c") as agent:
        for n in range(2):
            with telemetry.spans.chat(CALL) as chat:
                chat.finish(ATTEMPT)
                chat.content(SAID)
            telemetry.metrics.attempt(ATTEMPT, chat.exemplar)
            with telemetry.spans.execute_tool("helpdesk", "search_kb", "call", description="Searches.") as tool:
                tool.fail("timeout")
            telemetry.metrics.tool("helpdesk", "search_kb", 0.1, "timeout", tool.exemplar)
        agent.finish("answered", cost_nano_usd=1)

def memory():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

turns = int(os.environ["TURNS"])
for n in range(10):
    turn()
telemetry.flush(1)
before = memory()
for n in range(turns):
    turn()
grown = memory() - before
telemetry.shutdown()
lost = {
    " ".join(sample.labels.values()): sample.value
    for family in telemetry.registry.collect() for sample in family.samples
    if sample.name == "agent_telemetry_dropped_total"
}
print(json.dumps({"grown": grown, "lost": lost}), flush=True)
"""


@pytest.mark.parametrize(("content", "turns"), [("NO_CONTENT", 10_000), ("SPAN_ONLY", 300), ("EVENT_ONLY", 300)])
def test_memory_after_many_turns_with_a_hanging_collector(processes: Processes, content: str, turns: int) -> None:
    """With content the queues are full after a hundred turns; redacting it is what takes the time here."""
    with otlp.otlp_http("hang") as received:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, CAPTURE_SWITCH: content, "TURNS": str(turns)}
        process = processes.python("-c", HUNG, env=env)
        assert process.wait(60) == 0, process.stderr
    said = json.loads(process.stdout)
    assert said["grown"] <= 32 * 1024 * 1024
    lost = said["lost"]
    for kind, each in (("traces", 5), ("logs", 4 if content == "EVENT_ONLY" else 2)):
        reasons = ("queue_full", "export_failed", "shutdown")
        assert sum(lost.get(f"{kind} {why}", 0) for why in reasons) == (10 + turns) * each


# --- stopped in the middle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_a_turn_flushes_what_there_was(
    tmp_path: Path, http_collector: Collector, processes: Processes, number: signal.Signals, code: int
) -> None:
    with OfflineModel.in_thread() as server:
        config = write_config(tmp_path / "config", server.base_url, tools=HELPDESK)
        env = {**http_collector.env, "AGENT_CONFIG": str(config), "AGENT_STORE": f"sqlite:///{tmp_path / 'store.db'}"}
        server.gate(after=5)
        gate = server.gate(after=5)
        process = processes.agent("ask", QUESTION, env=env)
        server.gates.named("gate-1").release()
        gate.wait_arrived(30)
        process.send_signal(number)
        assert process.wait(10) == code
    received = http_collector.received
    assert (
        http_collector.tree
        == (Path(__file__).parent / "trees/aborted_in_the_middle_of_a_stream.txt").read_text().strip()
    )
    rows = books.table(tmp_path / "store.db", "ledger")
    cost = sum(books.number(row["cost"]) for row in rows) / 1e9
    assert sum(float(str(point.value)) for point in received.metrics["agent.cost.usd"].points) == pytest.approx(cost)
    assert sum(float(str(p.value)) for p in received.metrics["agent.ledger.cost.usd"].points) == pytest.approx(cost)
    assert check(received.spans) == []
