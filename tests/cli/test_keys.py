"""`agent keys new`: the key is shown once, and works."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.service.keys import Keys, load
from tests.cli.conftest import Agent


@pytest.mark.parametrize("before", [None, "", "# who may ask\n", "# who may ask\nkeys: []\n"])
@pytest.mark.parametrize("name", ["intranet", "42", "null", "1e5", "yes"])
def test_a_new_key_works(agent: Agent, config: Path, name: str, before: str | None) -> None:
    file = config / "keys.yaml"
    if before is not None:
        file.write_text(before)
    first = agent("keys", "new", name, "--tenant", "acme")
    assert first.code == 0
    second = agent("keys", "new", "second")
    keys = Keys(config)
    found, other = keys.find(first.out.strip()), keys.find(second.out.strip())
    assert found
    assert other
    assert (found.name, found.tenant) == (name, "acme")
    assert (other.name, other.tenant) == ("second", "local")
    assert first.out.strip() not in file.read_text() + first.err
    assert ("# who may ask" in file.read_text()) == ("#" in (before or ""))


def test_a_name_is_taken_once(agent: Agent, config: Path) -> None:
    agent("keys", "new", "intranet")
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
