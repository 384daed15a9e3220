"""Stdin and stdout: what tools do to them, and what they are when they are closed, full or nobody's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.offline.server import OfflineModel
from tests.support.app import write_config
from tests.support.processes import ROOT

TOOL = """
import os
from agent.tools.tool import tool

print("imported")


@tool
def {name}() -> str:
    \"\"\"Talks.\"\"\"
    print("printed")
    os.write(1, b"written\\n")
    {what}
    return "talked"
"""


def agent(command: str, tools: Path | None = None, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A shell command in which `agent` is the program."""
    search = os.pathsep.join(map(str, (ROOT, *([tools] if tools else []))))
    shell = f'agent() {{ "{sys.executable}" -m agent "$@"; }}; {command}'
    env = {**os.environ, "PYTHONPATH": search}
    return subprocess.run(["bash", "-c", shell], cwd=ROOT, env=env, input=given, capture_output=True, text=True)


def with_tool(config: Path, server: OfflineModel, name: str, what: str) -> Path:
    folder = config.parent / "modules"
    folder.mkdir()
    (folder / f"module_of_{name}.py").write_text(TOOL.format(name=name, what=what))
    write_config(config, server.base_url, tools=["tests.support.desk", f"module_of_{name}"])
    return folder


@pytest.mark.parametrize("command", ["ask --json 'use talk'", "ask --json -", "chat --json", "tools --json"])
def test_what_tools_print_is_not_on_stdout(config: Path, server: OfflineModel, command: str) -> None:
    tools = with_tool(config, server, "talk", "")
    ran = agent(f"agent {command}", tools, "use talk")
    assert ran.returncode == 0, ran.stderr
    [line] = ran.stdout.splitlines()
    json.loads(line)
    assert "imported" in ran.stderr
    if "tools" not in command:
        assert {"printed", "written"} <= set(ran.stderr.split())


def test_a_tool_cannot_read_what_was_meant_for_the_program(config: Path, server: OfflineModel) -> None:
    tools = with_tool(config, server, "curious", "input('password? ')")
    ran = agent("agent chat --json", tools, "use curious\nHow do I set up the VPN?\n")
    assert ran.returncode == 0, ran.stderr
    first, second = json.loads(ran.stdout)["turns"]
    assert "EOFError" in first["text"]
    assert "Article about set vpn" in second["text"]


def test_a_tool_that_exits_has_failed(config: Path, server: OfflineModel) -> None:
    tools = with_tool(config, server, "leave", "raise SystemExit(3)")
    ran = agent("agent ask --json 'use leave'", tools)
    assert ran.returncode == 0, ran.stderr
    assert "SystemExit" in json.loads(ran.stdout)["text"]


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("chat <&-", 0, ""),
        ("ask - <&-", 2, "empty"),
        ("ask vpn >&-", 0, ""),
        ("ask vpn 2>&-", 0, ""),
        ("ask vpn --json >/dev/full", 1, "No space left"),
        ("ask vpn >/dev/full", 1, "No space left"),
    ],
)
@pytest.mark.usefixtures("config")
def test_streams_that_are_closed_or_full(command: str, code: int, told: str) -> None:
    ran = agent(f"agent {command}")
    assert ran.returncode == code, ran.stderr
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception" not in ran.stderr


@pytest.mark.usefixtures("config")
def test_where_the_encoding_has_no_lines_the_tree_is_drawn_in_ascii() -> None:
    ran = agent("PYTHONUTF8=0 PYTHONIOENCODING=ascii agent ask vpn --trace")
    assert "|-- execute_tool search_kb" in ran.stdout
    assert "`-- chat small" in ran.stdout
