from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.cli.conftest import Agent
from tests.support.processes import ROOT, Processes

pytestmark = pytest.mark.usefixtures("config")

QUESTION = "How do I set up the VPN?"


class Terminal:
    """A pseudo-terminal with `agent chat` on it."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(self._ours)
        self._seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", "chat"],
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),  # makes it the controlling terminal
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, text: str, seconds: float = 30.0) -> str:
        """What was shown up to `text`."""
        while text not in self._seen:
            ready, _, _ = select.select([self._ours], [], [], seconds)
            assert ready, f"no {text!r} in {self._seen!r}"
            self._seen += os.read(self._ours, 65536).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before

    def end(self, seconds: float = 10.0) -> int:
        code = self.process.wait(seconds)
        assert termios.tcgetattr(self._ours) == self.before
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture(name="terminal")
def _terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_a_conversation_at_a_terminal(terminal: Terminal) -> None:
    terminal.until("you> ")
    terminal.type(f"{QUESTION}\r")
    terminal.until("Article about set vpn")
    terminal.until("you> ")
    terminal.type("/quit\r")
    assert "\x1b[" in terminal.until("agent chat --conversation")
    assert terminal.end() == 0


def test_ctrl_c_at_the_prompt(terminal: Terminal) -> None:
    terminal.until("you> ")
    terminal.type("\x03")
    assert "Traceback" not in terminal.until("SIGINT")
    assert terminal.end() == 130


def test_ctrl_c_in_a_turn(terminal: Terminal, server: OfflineModel) -> None:
    gate = server.gate(5)
    terminal.until("you> ")
    terminal.type(f"{QUESTION}\r")
    gate.wait_arrived(30)
    terminal.type("\x03")
    terminal.until("cancelled")
    terminal.until("you> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_ctrl_c_at_the_prompt_says_how_to_go_on(terminal: Terminal) -> None:
    terminal.until("you> ")
    terminal.type(f"{QUESTION}\r")
    terminal.until("answered")
    terminal.until("you> ")
    terminal.type("\x03")
    terminal.until("Go on with: agent chat --conversation")
    assert terminal.end() == 130


def test_a_conversation_that_is_not_there_is_told_before_the_first_question(processes: Processes) -> None:
    chatting = processes.agent("chat", "--conversation", "nowhere", "--json")
    assert chatting.wait() == 2
    assert json.loads(chatting.stdout)["error"]["message"] == "no conversation nowhere"


def test_a_busy_conversation_ends_what_is_piped_in(processes: Processes, server: OfflineModel, agent: Agent) -> None:
    conversation = str(agent("ask", QUESTION, "--json").document["conversation_id"])
    gate = server.gate()
    first = processes.agent("ask", "And on my phone?", "--conversation", conversation)
    gate.wait_arrived(30)
    chatting = processes.agent("chat", "--json", "--conversation", conversation)
    chatting.send("And on my tablet?\n")
    chatting.close_stdin()
    assert chatting.wait() == 2
    assert json.loads(chatting.stdout)["error"]["kind"] == "caller"
    gate.release()
    assert first.wait() == 0


def test_what_is_piped_in_and_not_answered_is_exit_code_1(processes: Processes, server: OfflineModel) -> None:
    server.faults.push(Fault("status", 401))
    process = processes.agent("chat", "--json")
    process.send(f"{QUESTION}\n{QUESTION}\n")
    process.close_stdin()
    assert process.wait() == 1
    turns = json.loads(process.stdout)["turns"]
    assert [turn["outcome"] for turn in turns] == ["provider_failed", "answered"]


def test_a_turn_that_was_cancelled_is_among_the_turns(processes: Processes, server: OfflineModel) -> None:
    gate = server.gate(5)
    process = processes.agent("chat", "--json")
    process.send(f"{QUESTION}\n")
    gate.wait_arrived(30)
    process.send_signal(signal.SIGINT)
    gate.release()
    process.send("And on my phone?\n")
    process.close_stdin()
    assert process.wait() == 1
    document = json.loads(process.stdout)
    assert [turn["outcome"] for turn in document["turns"]] == ["cancelled", "answered"]
    assert {turn["conversation_id"] for turn in document["turns"]} == {document["conversation_id"]}
    assert document["turns"][0]["cost"]["nano_usd"] > 0


def test_turns_that_are_piped_in_become_one_document(processes: Processes, agent: Agent) -> None:
    process = processes.agent("chat", "--json")
    process.send(f"{QUESTION}\n\nAnd on my phone?")
    process.close_stdin()
    assert process.wait() == 0
    [document] = map(json.loads, process.stdout.splitlines())
    assert [turn["outcome"] for turn in document["turns"]] == ["answered", "answered"]
    shown = agent("conversations", "show", document["conversation_id"], "--json").document
    assert isinstance(shown["turns"], list)
    assert len(shown["turns"]) == 2


def test_another_process_goes_on(processes: Processes, agent: Agent) -> None:
    earlier = agent("ask", QUESTION, "--json").document
    process = processes.agent("chat", "--conversation", str(earlier["conversation_id"]), "--json")
    process.send("And on my phone?\n/quit\nnever asked\n")
    assert process.wait() == 0
    document = json.loads(process.stdout)
    assert document["conversation_id"] == earlier["conversation_id"]
    assert len(document["turns"]) == 1


def test_one_turn_at_a_time(processes: Processes, server: OfflineModel, tmp_path: Path, agent: Agent) -> None:
    conversation = str(agent("ask", QUESTION, "--json").document["conversation_id"])
    gate = server.gate()
    first = processes.agent("ask", "And on my phone?", "--conversation", conversation)
    gate.wait_arrived(30)
    second = agent("ask", "And on my tablet?", "--conversation", conversation, "--json")
    assert (second.code, second.error["kind"]) == (2, "caller")
    erasing = agent("conversations", "delete", conversation, "--yes", "--json")
    assert (erasing.code, erasing.error["kind"]) == (2, "usage")
    gate.release()
    assert first.wait() == 0
