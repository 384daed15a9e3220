from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from agent.types import Json
from tests.cli.conftest import Agent

QUESTION = "How do I set up the VPN?"


def listed(agent: Agent) -> list[Json]:
    found = agent("conversations", "list", "--json").document["conversations"]
    assert isinstance(found, list)
    return found


def ask(agent: Agent) -> tuple[str, str]:
    """Conversation and turn."""
    document = agent("ask", QUESTION, "--json").document
    return str(document["conversation_id"]), str(document["turn_id"])


def test_nothing_has_been_said_yet(agent: Agent, tmp_path: Path) -> None:
    assert "No conversations yet." in agent("conversations", "list").out
    assert listed(agent) == []
    assert not (tmp_path / "store.db").exists()


def test_the_last_used_is_first(agent: Agent) -> None:
    first, second = ask(agent)[0], ask(agent)[0]
    agent("ask", "And on my phone?", "--conversation", first)
    found = [(each["conversation_id"], each["turns"]) for each in listed(agent) if isinstance(each, dict)]
    assert found == [(first, 2), (second, 1)]
    table = agent("conversations", "list", "--limit", "1").out
    assert first in table
    assert second not in table


def test_what_was_said_is_shown(agent: Agent) -> None:
    conversation, turn = ask(agent)
    assert QUESTION in agent("conversations", "show", conversation).out
    turns = agent("conversations", "show", conversation, "--json").document["turns"]
    assert isinstance(turns, list)
    [shown] = turns
    assert isinstance(shown, dict)
    assert shown["turn_id"] == turn
    assert isinstance(shown["messages"], list)
    assert [each["role"] for each in shown["messages"] if isinstance(each, dict)] == [
        *("user", "assistant", "tool", "assistant")
    ]


def test_erasing_keeps_the_books(agent: Agent) -> None:
    conversation, turn = ask(agent)
    before = agent("trace", turn, "--json").document
    assert agent("conversations", "delete", conversation, "--yes", "--json").document == {
        "conversation_id": conversation,
        "erased": True,
    }
    after = agent("trace", turn, "--json").document
    assert (after["erased"], after["cost"], after["usage"]) == (True, before["cost"], before["usage"])
    assert "execute_tool ?" in agent("trace", turn).out
    assert QUESTION not in agent("conversations", "show", conversation).out
    ran = agent("ask", "hi", "--conversation", conversation, "--json")
    assert (ran.code, ran.error["kind"]) == (2, "caller")


def test_nobody_is_asked_where_there_is_no_terminal(agent: Agent) -> None:
    conversation, _ = ask(agent)
    ran = agent("conversations", "delete", conversation)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert QUESTION in agent("conversations", "show", conversation).out


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_a_person_is_asked(agent: Agent, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int) -> None:
    conversation, _ = ask(agent)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as raw, open(raw.fileno(), closefd=False) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        os.write(ours, answer)
        assert agent("conversations", "delete", conversation).code == code
    os.close(ours)
    gone = [each["erased"] is not None for each in listed(agent) if isinstance(each, dict)]
    assert gone == [code == 0]
