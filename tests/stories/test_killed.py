"""`kill -9` in the middle of a turn, `agent resume` in another process: one trace, and every signal adds up."""

from __future__ import annotations

from pathlib import Path

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.stories.support import HELPDESK, QUESTION, Collector
from tests.support import books
from tests.support.app import write_config
from tests.support.processes import Processes

KINDS = (("attempt",), ("attempt", "expiry"))
TREE = Path(__file__).parent / "trees/killed_and_resumed.txt"


def test_killed_and_resumed(tmp_path: Path, http_collector: Collector, processes: Processes) -> None:
    received = http_collector.received
    with OfflineModel.in_thread() as server:
        config = write_config(tmp_path / "config", server.base_url, tools=HELPDESK)
        env = {
            **http_collector.env,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "AGENT_CONFIG": str(config),
            "AGENT_STORE": f"sqlite:///{tmp_path / 'store.db'}?lease=2",
        }
        server.faults.push(Fault("ok"))
        gate = server.gate()
        asking = processes.agent("ask", QUESTION, env=env)
        gate.wait_arrived(30)
        received.wait_for(lambda r: len(r.spans) == 3, 30)
        asking.kill()
        gate.release()
        resuming = processes.agent("resume", "--json", env=env)
        assert resuming.wait(60) == 0, resuming.stderr
    rows = books.table(tmp_path / "store.db", "ledger")
    assert http_collector.tree == TREE.read_text().rstrip("\n")
    assert http_collector.findings() == []
    assert len({span.trace_id for span in received.spans}) == 1
    assert len({span.resource["service.instance.id"] for span in received.spans}) == 2
    # The hold that the dead process left is charged at its bound when its lease is over: in the turn's time or after.
    costs = [sum(books.number(row["cost"]) for row in rows if row["kind"] in kinds) for kinds in KINDS]
    (agent,) = [span for span in received.spans if span.name == "invoke_agent desk"]
    assert round(float(str(agent.attributes["agent.turn.cost.usd"])) * 1e9) in costs
