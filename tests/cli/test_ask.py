from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest

from agent.cli import terminal
from agent.cli.main import main
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.cli.conftest import Agent
from tests.support.app import write_config

QUESTION = "How do I set up the VPN?"


def test_the_answer_and_what_became_of_it_are_on_stdout(agent: Agent) -> None:
    ran = agent("ask", QUESTION)
    assert ran.code == 0
    assert "Article about set vpn" in ran.out
    for word in ("answered in", "$0.00", "left of $10.000000", "desk@1", "small", "agent trace"):
        assert word in ran.out
    assert "search_kb" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_unstreamed_shows_the_same_answer(agent: Agent, server: OfflineModel) -> None:
    streamed, whole = agent("ask", QUESTION), agent("ask", QUESTION, "--no-stream")
    assert streamed.out.partition("outcome")[0] == whole.out.partition("outcome")[0]
    assert [access.stream for access in server.log.accesses] == [True, True, False, False]


def test_the_trace_is_shown_on_request(agent: Agent) -> None:
    ran = agent("ask", QUESTION, "--trace")
    assert "invoke_agent desk" in ran.out
    assert "├── execute_tool search_kb" in ran.out
    assert "└── chat small" in ran.out


def test_a_question_from_stdin(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("VPN in Köln\xff?".encode("latin-1"))))
    ran = agent("ask", "-", "--json")
    assert ran.document["outcome"] == "answered"


def test_a_conversation_goes_on(agent: Agent) -> None:
    first = agent("ask", "I'm U-123.", "--json").document
    second = agent("ask", QUESTION, "--json", "--conversation", str(first["conversation_id"])).document
    assert second["conversation_id"] == first["conversation_id"]


def test_json_says_everything(agent: Agent) -> None:
    document = agent("ask", QUESTION, "--json", "--trace", "--user", "U-9").document
    assert list(document) == [
        *("turn_id", "conversation_id", "trace_id", "agent", "outcome", "text", "reason", "models", "stand_in"),
        *("prompt", "usage", "cost", "budgets", "seconds", "trace"),
    ]
    trace, cost, budgets = document["trace"], document["cost"], document["budgets"]
    assert isinstance(trace, dict)
    assert isinstance(cost, dict)
    assert isinstance(budgets, list)
    assert (document["outcome"], document["reason"], document["stand_in"]) == ("answered", None, True)
    assert trace["cost"] == cost
    assert trace["usage"] == document["usage"]
    nano = cost["nano_usd"]
    assert isinstance(nano, int)
    assert cost["usd"] == f"0.{nano:09d}"
    left = {"nano_usd": 10**10 - nano, "usd": f"9.{10**9 - nano:09d}"}
    assert budgets[0] == {
        "name": "turn",
        "limit": {"nano_usd": 10**10, "usd": "10.000000000"},
        "charged": cost,
        "held": {"nano_usd": 0, "usd": "0.000000000"},
        "left": left,
    }


def test_no_answer_is_exit_code_1_and_says_why(agent: Agent, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 401))
    ran = agent("ask", QUESTION)
    assert ran.code == 1
    assert "provider_failed" in ran.out
    assert "auth" in ran.out


def test_where_nobody_answered_it_says_whom_it_asked(agent: Agent, config: Path) -> None:
    """A wrong base URL is the first thing to get wrong."""
    models = json.loads((config / "models.yaml").read_text())
    nobody = models["models"]["small"]["base_url"] = "http://127.0.0.1:1/v1"
    (config / "models.yaml").write_text(json.dumps(models))
    ran = agent("ask", QUESTION)
    assert ran.code == 1
    assert f"asked              small at {nobody} (models.yaml)\n" in ran.out


def test_where_the_environment_leads_nowhere_it_says_so(
    agent: Agent, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = json.loads((config / "models.yaml").read_text())
    models["models"]["small"]["api_key_env"] = "OPENAI_API_KEY"
    (config / "models.yaml").write_text(json.dumps(models))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:2/v1")
    assert "small at http://127.0.0.1:2/v1 (OPENAI_BASE_URL)" in agent("ask", QUESTION).out


def test_a_refusal_says_limit_charged_held_asked(agent: Agent, config: Path, server: OfflineModel) -> None:
    write_config(config, server.base_url, budgets={"everything": "0.000001"})
    ran = agent("ask", QUESTION, "--json")
    assert ran.code == 1
    assert ran.document["outcome"] == "refused_budget"
    assert str(ran.document["reason"]).startswith("budget everything: limit $0.000001, charged $0.000000, held $0")
    assert server.log.count() == 0


def test_retries_are_told(agent: Agent, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 429))
    ran = agent("ask", QUESTION, "--trace")
    assert ran.code == 0
    assert "trying again in" in ran.err
    assert "attempt 1" in ran.out
    assert "not billed" in ran.out


def test_what_a_model_writes_cannot_drive_the_terminal(agent: Agent, server: OfflineModel) -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"\\u001b]52;c;aGk=\\u0007ok"},"finish_reason":"stop"}]}'
    server.faults.push(Fault.raw_stream([f"data: {chunk}", "data: [DONE]"]))
    ran = agent("ask", QUESTION)
    assert "]52;c;aGk=" in ran.out
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


class Gone(io.StringIO):
    """A stdout whose reader leaves while tools run: just where the answer's line is ended for their notes."""

    def write(self, text: str) -> int:
        if text == "\n":
            raise BrokenPipeError(errno.EPIPE, "nobody reads")
        return super().write(text)

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


def test_a_reader_that_leaves_while_tools_run_in_parallel(
    agent: Agent, server: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [
        {"index": i, "id": f"c{i}", "type": "function", "function": {"name": "search_kb", "arguments": '{"query":"a"}'}}
        for i in range(2)
    ]
    choice = {"index": 0, "delta": {"content": "Looking", "tool_calls": calls}, "finish_reason": "tool_calls"}
    server.faults.push(Fault.raw_stream([f"data: {json.dumps({'choices': [choice]})}", "data: [DONE]"]))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Gone())
        with pytest.raises(SystemExit, match="1"):
            main(["ask", QUESTION])
    conversations = agent("conversations", "list", "--json").document["conversations"]
    assert isinstance(conversations, list)
    assert isinstance(conversations[0], dict)
    assert agent("trace", str(conversations[0]["conversation_id"]), "--json").document["outcome"] == "cancelled"


def test_the_stand_in_is_labelled(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_CONFIG", "config")
    ran = agent("ask", "I'm user U-123 and my laptop will not connect to wifi.")
    assert "offline stand-in answers, not a real model. Set OPENAI_API_KEY to ask gpt-6-luna." in ran.out
    assert agent("ask", QUESTION, "--json").document["stand_in"] is True


def test_a_stand_in_that_the_environment_leads_to_is_labelled_as_such(
    agent: Agent, server: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_CONFIG", "config")
    monkeypatch.setenv("OPENAI_API_KEY", "offline")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    out = agent("ask", "hi").out
    assert "not a real model. OPENAI_BASE_URL leads to it." in out
    assert "Set OPENAI_API_KEY" not in out


def test_ids_and_numbers_are_whole_on_a_narrow_terminal(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = str(agent("ask", QUESTION, "--json").document["turn_id"])
    monkeypatch.setattr(terminal, "PIPED_WIDTH", 40)
    ran = agent("ask", QUESTION, "--trace")
    assert "…" not in ran.out.partition("span")[2]
    [command] = [line for line in ran.out.splitlines() if line.startswith("agent trace ")]
    assert len(command) == len(f"agent trace {turn}")


def test_metrics_can_be_scraped_meanwhile(agent: Agent) -> None:
    ran = agent("ask", QUESTION, "--metrics-port", "0")
    assert ran.code == 0
    assert "metrics at http://127.0.0.1:" in ran.err
