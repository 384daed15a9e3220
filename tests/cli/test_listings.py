"""`agent check`, `models` and `tools`, and help."""

from __future__ import annotations

from pathlib import Path

import pytest

import agent as package
from agent.cli.program import app
from tests.cli.conftest import Agent


@pytest.fixture(name="shipped")
def _shipped(monkeypatch: pytest.MonkeyPatch, agent: Agent) -> Agent:
    monkeypatch.setenv("AGENT_CONFIG", "config")
    return agent


def test_the_shipped_configuration(shipped: Agent) -> None:
    ran = shipped("check")
    assert ran.code == 0
    assert "config/models.yaml:" in ran.out
    document = shipped("check", "--json").document
    assert document["ok"] is True


def test_a_bad_configuration(agent: Agent, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "budgets.yaml").write_text("budgets:\n  everything: {limit_usd: much}\n")
    monkeypatch.setenv("AGENT_STORE", "sqlite:///x?lease=long")
    ran = agent("check", "--json")
    assert ran.code == 2
    problems = ran.document["problems"]
    assert isinstance(problems, list)
    errors = [each for each in problems if isinstance(each, dict) and each["severity"] == "error"]
    assert [(Path(str(each["file"])).name, each["line"], each["key"]) for each in errors] == [
        ("budgets.yaml", 2, "budgets.everything.limit_usd"),
        ("environment", None, "AGENT_STORE"),
    ]
    assert "budgets.yaml:2:" in agent("check").out


def test_a_bad_environment_is_told_once(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    ran = agent("check")
    assert ran.code == 2
    assert ran.out.count("OTEL_EXPORTER_OTLP_PROTOCOL: found 'http/json', expected 'http/protobuf' or 'grpc'") == 1


def test_what_is_piped_has_no_trailing_blanks(shipped: Agent) -> None:
    for command in ("tools", "models"):
        assert [line for line in shipped(command).out.splitlines() if line.endswith(" ")] == []


def test_models(shipped: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-not-to-be-shown")
    models = shipped("models", "--json").document["models"]
    assert isinstance(models, list)
    [first, *_] = [each for each in models if isinstance(each, dict)]
    assert {key: first[key] for key in ("name", "key_env", "key_set", "used_by", "stand_in")} == {
        "name": "gpt-6-luna",
        "key_env": "OPENAI_API_KEY",
        "key_set": True,
        "used_by": ["helpdesk"],
        "stand_in": False,
    }
    assert float(str(first["output_usd_per_mtok"])) > float(str(first["input_usd_per_mtok"])) > 0
    assert "canary" not in shipped("models").out


def test_models_without_a_listed_price(agent: Agent) -> None:
    assert "ceiling" in str(agent("models", "--json").document)
    assert agent("models").code == 0


def test_tools(shipped: Agent) -> None:
    ran = shipped("tools")
    assert "lookup_user(user_id)" in ran.out
    agents = shipped("tools", "--json").document["agents"]
    assert isinstance(agents, list)
    [helpdesk] = agents
    assert isinstance(helpdesk, dict)
    assert isinstance(helpdesk["tools"], list)
    assert {(each["name"], each["module"], each["repeat"]) for each in helpdesk["tools"] if isinstance(each, dict)} == {
        ("lookup_user", "agent.tools.helpdesk", "safe"),
        ("search_kb", "agent.tools.helpdesk", "safe"),
    }


def test_nothing_to_resume(agent: Agent) -> None:
    assert agent("resume").out == "Nothing to resume.\n"
    assert agent("resume", "--json").document == {"turns": [], "left": []}


def test_version(agent: Agent) -> None:
    assert agent("--version").out == f"agent {package.__version__}\n"


COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]


@pytest.mark.parametrize("command", [*COMMANDS, "conversations"])
def test_every_help_shows_examples(agent: Agent, command: str) -> None:
    ran = agent(command, "--help")
    assert ran.code == 0
    assert f"agent {command}" in ran.out.partition("Examples")[2]
    assert all(len(line) <= 80 for line in ran.out.splitlines())
    assert [line for line in ran.out.splitlines() if "<bool>" in line and "--help" not in line] == []
