"""A command that is stopped, in processes of their own: the turn is ended and paid for first, whoever stops it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import trace_tree
from agent.money.account import EVERYTHING
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.store import balances, conversations
from agent.store.reader import reading
from agent.store.tx import Tx
from agent.trace_tree import TurnTree
from tests.support.processes import ROOT, Processes

pytestmark = pytest.mark.usefixtures("config")

QUESTION = "How do I set up the VPN?"
STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@contextmanager
def books(folder: Path) -> Iterator[Tx]:
    with reading(str(folder / "store.db")) as tx:
        yield tx


def last_turn(tx: Tx) -> TurnTree:
    [last, *_] = conversations.newest(tx, 1)
    return trace_tree.read(tx, trace_tree.find(tx, last.id))


def assert_cancelled(folder: Path) -> TurnTree:
    with books(folder) as tx:
        turn = last_turn(tx)
        assert (turn.state, turn.outcome) == ("done", "cancelled")
        assert balances.read(tx, EVERYTHING) == balances.Balance(charged=turn.cost, held=0)
        return turn


@pytest.mark.parametrize(("number", "code"), STOPS)
@pytest.mark.parametrize("after", [None, 5])
def test_a_signal_in_the_middle_of_a_turn(
    tmp_path: Path, server: OfflineModel, processes: Processes, number: signal.Signals, code: int, after: int | None
) -> None:
    gate = server.gate(after)
    process = processes.agent("ask", QUESTION, "--json")
    gate.wait_arrived(30)
    process.send_signal(number)
    assert process.wait(10) == code
    [line] = process.stdout.splitlines()
    document = json.loads(line)
    assert document["error"]["exit_code"] == code
    assert process.stderr == ""
    turn = assert_cancelled(tmp_path)
    assert (document["turn_id"], document["outcome"]) == (turn.turn_id, "cancelled")
    assert document["cost"]["nano_usd"] == turn.cost > 0


def test_people_are_told_what_a_turn_that_they_stopped_has_cost(server: OfflineModel, processes: Processes) -> None:
    server.faults.push(Fault("ok"), Fault("slow_chunks", 0.05))
    process = processes.agent("ask", QUESTION)
    process.wait_for_line("search_kb", "stderr")
    server.log.wait(lambda log: log.count() == 2, 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    for word in ("cancelled", "cost", "conversation", "agent trace"):
        assert re.search(f"^.*{word}", process.stdout, re.MULTILINE)
    assert process.stderr.endswith("stopped by SIGINT\n")


def test_ctrl_c_before_anything_has_begun_is_silent() -> None:
    program = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from agent.cli.main import main\n"
        "sys.exit(main(['ask', 'hi']))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_a_reader_that_has_seen_enough(tmp_path: Path, server: OfflineModel) -> None:
    server.faults.push(Fault("ok"), Fault("slow_chunks", 0.02))
    asking = subprocess.Popen(
        [sys.executable, "-m", "agent", "ask", QUESTION], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asking.stdout
    assert asking.stderr
    with asking, asking.stdout as stdout, asking.stderr as stderr:
        assert stdout.readline()
        stdout.close()
        assert b"Traceback" not in stderr.read()
        assert asking.wait(10) == 1
    assert_cancelled(tmp_path)


def test_a_reader_that_never_was(tmp_path: Path) -> None:
    command = f"{sys.executable} -m agent conversations list | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() in ("0", "1")  # 0 where it was quicker than its reader
    assert ran.stderr == ""


def test_ctrl_c_in_a_chat_ends_the_turn_and_then_the_chat(
    tmp_path: Path, server: OfflineModel, processes: Processes
) -> None:
    gate = server.gate(5)
    process = processes.agent("chat")
    process.send(f"{QUESTION}\n")
    gate.wait_arrived(30)
    process.send_signal(signal.SIGINT)
    process.wait_for_line("cancelled", "stderr")
    assert_cancelled(tmp_path)
    process.send("How do I set up my printer?\n")
    process.wait_for_line("answered", "stderr")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert "Traceback" not in process.stderr
    with books(tmp_path) as tx:
        assert last_turn(tx).outcome == "answered"


def test_what_a_killed_process_left_is_gone_on_with(
    tmp_path: Path, server: OfflineModel, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_STORE", f"sqlite:///{tmp_path / 'store.db'}?lease=2")
    server.faults.push(Fault("ok"))
    gate = server.gate()
    asking = processes.agent("ask", QUESTION)
    gate.wait_arrived(30)
    asking.kill()
    gate.release()
    resuming = processes.agent("resume", "--json")
    assert resuming.wait(60) == 0
    assert "waiting up to" in resuming.stderr
    [document] = map(json.loads, resuming.stdout.splitlines())
    [turn] = document["turns"]
    assert (turn["outcome"], document["left"]) == ("answered", [])
    with books(tmp_path) as tx:
        tree = last_turn(tx)
    assert tree.epoch == 3
    assert [process.epoch for process in tree.processes] == [1, 3]
    assert [node.step for node in tree.nodes] == ["m0", "m0.t0", "m1", "m1"]
    showing = processes.agent("trace", tree.turn_id)
    assert showing.wait() == 0
    died, held = "its process died: charged at its bound", "not settled yet: its bound is held"
    assert died in showing.stdout or held in showing.stdout  # as the hold's lease has ended meanwhile or not
    assert "taken over, now at epoch 3" in showing.stdout


def test_who_lives_is_not_waited_for(
    tmp_path: Path, server: OfflineModel, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_STORE", f"sqlite:///{tmp_path / 'store.db'}?lease=6")
    gate = server.gate()
    asking = processes.agent("ask", QUESTION)
    gate.wait_arrived(30)
    resuming = processes.agent("resume", "--json")
    assert resuming.wait(60) == 0
    assert json.loads(resuming.stdout) == {"turns": [], "left": []}
    gate.release()
    assert asking.wait(30) == 0


def test_ctrl_c_gives_a_turn_that_was_taken_over_back(
    tmp_path: Path, server: OfflineModel, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_STORE", f"sqlite:///{tmp_path / 'store.db'}?lease=2")
    first, second = server.gate(), server.gate()
    asking = processes.agent("ask", QUESTION)
    first.wait_arrived(30)
    asking.kill()
    resuming = processes.agent("resume")
    second.wait_arrived(60)
    resuming.send_signal(signal.SIGINT)
    assert resuming.wait(10) == 130
    assert "Traceback" not in resuming.stderr
    with books(tmp_path) as tx:
        assert last_turn(tx).outcome is None
    again = processes.agent("resume", "--json")
    assert again.wait(60) == 0
    [turn] = json.loads(again.stdout)["turns"]
    assert turn["outcome"] == "answered"


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_the_offline_model_serves_until_it_is_stopped(
    tmp_path: Path, processes: Processes, number: signal.Signals, code: int
) -> None:
    log = tmp_path / "requests.jsonl"
    serving = processes.agent("offline-model", "--port", "0", "--log", str(log))
    url = serving.wait_for_line("OPENAI_BASE_URL=(.*)").group(1)
    environment = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "offline", "AGENT_CONFIG": "config"}
    asking = processes.agent("ask", QUESTION, "--json", env=environment)
    assert asking.wait() == 0
    serving.send_signal(number)
    assert serving.wait(10) == code
    assert "Traceback" not in serving.stderr
    assert len(log.read_text().splitlines()) == 4  # an arrival and an end each
