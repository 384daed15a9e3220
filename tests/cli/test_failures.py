"""What users and operators can get wrong: a message, an exit code, never a traceback; as JSON where it was asked."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.offline.server import OfflineModel
from tests.cli.conftest import Agent
from tests.support.app import write_config

MISTAKES = [
    (["ask", "hi", "--agent", "nobody"], "usage", "no agent nobody in agents.yaml; there is desk"),
    (["ask", "hi", "--conversation", "nowhere"], "caller", "no conversation nowhere"),
    (["ask", "  "], "usage", "empty"),
    (["ask"], "usage", "Missing argument"),
    (["ask", "hi", "--no-such-option"], "usage", "no-such-option"),
    (["ask", "how", "do", "I", "print"], "usage", "Put the question in quotes"),
    (["ask", "- dash"], "usage", "put --"),
    (["ask", "hi", "--config", "elsewhere"], "usage", "--config. Put it before the command"),
    (["check", "--log-level=info"], "usage", "--log-level. Put it before the command"),
    (["ask", "hi", "--user", ""], "usage", "it is empty"),
    (["trace", "0" * 32], "configuration", "nothing has been asked"),
    (["conversations", "show", "nowhere"], "configuration", "nothing has been asked"),
    (["conversations", "delete", "nowhere", "--yes"], "configuration", "nothing has been asked"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), MISTAKES)
def test_a_mistake(agent: Agent, arguments: list[str], kind: str, message: str) -> None:
    plain, as_json = agent(*arguments), agent(*arguments, "--json")
    assert (plain.code, plain.out) == (2, "")
    assert message in " ".join(plain.err.split())
    assert "Traceback" not in plain.err
    assert as_json.code == 2
    assert as_json.error["kind"] == kind
    assert message in str(as_json.error["message"])


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OTEL_TRACES_EXPORTER", "carrier-pigeon", "OTEL_TRACES_EXPORTER"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", None),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("AGENT_STORE", "mysql://x", "AGENT_STORE"),
        ("AGENT_STORE", "/var/lib/agent/store.db", "found a path"),
        ("AGENT_STORE", "sqlite:///", "AGENT_STORE"),
        ("AGENT_STORE", "sqlite:////tmp", "AGENT_STORE"),
        ("AGENT_STORE", "sqlite:///x?foo=1", "the option foo"),
        ("AGENT_STORE", "sqlite:////dev/null/store.db", "/dev/null"),
        ("AGENT_CONFIG", "nowhere", "no such folder"),
    ],
)
def test_a_bad_environment(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str | None
) -> None:
    monkeypatch.setenv(variable, value)
    ran = agent("ask", "hi", "--json")
    if message is None:
        assert ran.code == 0  # not asked for where nothing is exported
    else:
        assert ran.code == 2
        assert ran.error["kind"] == "configuration"
        assert message in str(ran.error["message"])


def test_all_problems_of_a_configuration_are_listed(agent: Agent, config: Path) -> None:
    (config / "agents.yaml").write_text("default: desk\nagents:\n  desk: {prompt: nope, models: [large], tools: 7}\n")
    ran = agent("ask", "hi", "--json")
    assert ran.code == 2
    problems = ran.error["problems"]
    assert isinstance(problems, list)
    assert all(isinstance(each, dict) and each["line"] and each["expected"] for each in problems)


def test_a_tool_module_that_is_not_there(agent: Agent, config: Path) -> None:
    text = (config / "agents.yaml").read_text()
    (config / "agents.yaml").write_text(text.replace("tests.support.desk", "no_such_module"))
    ran = agent("ask", "hi", "--json")
    assert (ran.code, ran.error["kind"]) == (2, "configuration")


def test_a_file_that_is_no_store(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"SQLite was never here, but something else was. " * 50)
    for arguments in (["ask", "hi"], ["trace", "0" * 32], ["conversations", "list"]):
        ran = agent(*arguments, "--json")
        assert (ran.code, ran.error["kind"]) == (2, "configuration")
        assert "store.db" in str(ran.error["message"])


def test_a_key_that_is_not_set_and_no_stand_in(agent: Agent, config: Path, server: OfflineModel) -> None:
    write_config(config, server.base_url, model={"api_key_env": "OPENAI_API_KEY"})
    for arguments in (["ask", "hi"], ["check"]):
        ran = agent(*arguments)
        assert ran.code == 2
        assert "OPENAI_API_KEY" in ran.out + ran.err
    assert server.log.count() == 0


def test_a_port_that_is_taken(agent: Agent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = agent("ask", "hi", "--metrics-port", str(port), "--json")
        assert (ran.code, ran.error["kind"]) == (2, "configuration")
        assert main(["offline-model", "--port", str(port)]) == 2
        assert main(["offline-model", "--host", "8.8.8.8"]) == 2
