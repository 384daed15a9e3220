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


DIGEST = "0" * 64


@pytest.mark.parametrize(
    "style",
    [
        f"keys:\n- name: old\n  sha256: '{DIGEST}'\n  tenant: acme\n",
        f"keys:\n    - {{name: old, sha256: '{DIGEST}', tenant: acme}}",
        f"keys:\n  -\n    name: old\n    sha256: '{DIGEST}'\n    tenant: acme\n    agents:\n      - desk\n",
        f"keys: [{{name: old, sha256: '{DIGEST}', tenant: acme}}]\n",
    ],
)
def test_a_list_in_another_style_gets_it_or_stays(agent: Agent, config: Path, style: str) -> None:
    (config / "keys.yaml").write_text(style)
    made = agent("keys", "new", "second")
    if made.code:
        assert (made.code, made.out) == (2, "")
        assert "to add a key" in made.err
        assert (config / "keys.yaml").read_text() == style
    else:
        assert Keys(config).find(made.out.strip())
    assert load(config).keys[0].name == "old"
    assert ("[" in style or "-\n" in style) == bool(made.code)


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
