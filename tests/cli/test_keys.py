"""`agent keys new`: the key is shown once, and its entry works."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.service.keys import Keys, load
from tests.cli.conftest import Agent


def shown(err: str) -> str:
    [line] = [line for line in err.splitlines() if "agk_" in line]
    return line.rsplit(" ", 1)[1]


@pytest.mark.parametrize("name", ["intranet", "42", "null", "1e5", "yes"])
def test_a_new_key_works(agent: Agent, config: Path, name: str) -> None:
    first = agent("keys", "new", name, "--tenant", "acme")
    assert first.code == 0
    assert "agk_" not in first.out
    file = config / "keys.yaml"
    file.write_text(first.out)
    second = agent("keys", "new", "second")
    file.write_text(first.out + second.out)
    keys = Keys(config)
    found, other = keys.find(shown(first.err)), keys.find(shown(second.err))
    assert found
    assert other
    assert (found.name, found.tenant) == (name, "acme")
    assert (other.name, other.tenant) == ("second", "local")
    assert shown(first.err) not in file.read_text()


def test_a_name_is_taken_once(agent: Agent, config: Path) -> None:
    (config / "keys.yaml").write_text(agent("keys", "new", "intranet").out)
    again = agent("keys", "new", "intranet")
    assert (again.code, again.out) == (2, "")
    assert "intranet" in again.err
    assert len(load(config).keys) == 1


@pytest.mark.parametrize("arguments", [("In Tra",), ("a", "--tenant", "A B"), ("",)])
def test_what_is_no_name_is_said(agent: Agent, config: Path, arguments: tuple[str, ...]) -> None:
    refused = agent("keys", "new", *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert "Traceback" not in refused.err
    assert "names" in refused.err
