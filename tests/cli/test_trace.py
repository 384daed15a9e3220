from __future__ import annotations

import re

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.cli.conftest import Agent

TREE = """\
span time tokens in / out cost
invoke_agent desk T N / N $ answered
├── chat small T N / N $ 2 attempts
│ ├── attempt 1 T ? / ? $0.000000 error rate_limit_exceeded, not billed
│ └── attempt 2 T N / N $
├── execute_tool search_kb T error tool_error
├── chat small T N / N $ usage estimated: charged at its bound
├── execute_tool search_kb T
└── chat small T N / N $
prompt desk@1 · WHEN · trace ID"""


def stable(text: str) -> str:
    """Without what differs from run to run."""
    for pattern, instead in [
        (r"[0-9a-f]{32}", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
        (r"\d+(\.\d+)? m?s\b", "T"),
        (r"\$0\.\d*[1-9]\d*", "$"),
        (r"[\d,]+ / [\d,]+", "N / N"),
        (r"\? / [\d,]+", "N / N"),
        (r" +", " "),
    ]:
        text = re.sub(pattern, instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_the_tree_as_text(agent: Agent, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 429), Fault("ok"), Fault("no_usage"))
    turn = str(agent("ask", "explode 1", "--json").document["turn_id"])
    assert stable(agent("trace", turn).out) == TREE


def test_the_same_as_json(agent: Agent) -> None:
    asked = agent("ask", "How do I set up the VPN?", "--json", "--trace").document
    assert agent("trace", str(asked["turn_id"]), "--json").document == asked["trace"]


def test_a_turn_that_is_not_there(agent: Agent) -> None:
    agent("ask", "hi")
    for wanted in ("short", "0" * 32):
        ran = agent("trace", wanted, "--json")
        assert (ran.code, ran.error["kind"]) == (2, "usage")
