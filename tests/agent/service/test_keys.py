"""`keys.yaml`: what may be in it, and that what is wrong is said with its place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agent.check import check
from agent.config.problems import ConfigError
from agent.service.keys import Keys, digest, load, new_key
from agent.service.options import load_options
from tests.support.app import write_config

GOOD = f"""\
keys:
  - name: intranet
    sha256: {"a" * 64}
    tenant: acme
    agents: [desk]
    requests_per_minute: 60
    concurrency: 4
    user_header: x-user
"""
SECOND = f"  - {{name: other, sha256: {'b' * 64}, tenant: acme}}\n"


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text(GOOD)
    [key] = load(tmp_path).keys
    assert (key.name, key.tenant, key.agents, key.user_header) == ("intranet", "acme", ("desk",), "x-user")
    assert (key.requests_per_minute, key.concurrency) == (60, 4)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("concurency", "`concurrency`"),
        ("zzz", "one of agents, concurrency, name, requests_per_minute, sha256, tenant, user_header"),
    ],
)
def test_an_unknown_key_is_told_which_there_are(tmp_path: Path, key: str, expected: str) -> None:
    (tmp_path / "keys.yaml").write_text(GOOD.replace("concurrency", key))
    with pytest.raises(ConfigError) as wrong:
        load(tmp_path)
    assert [problem.expected for problem in wrong.value.problems] == [expected]


def test_no_file_is_no_keys(tmp_path: Path) -> None:
    assert load(tmp_path).keys == ()
    assert not Keys(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("a" * 64, "a" * 63, "keys.yaml:3:5: keys.0.sha256"),
        ("a" * 64, "A" * 64, "keys.yaml:3:5: keys.0.sha256"),
        ("intranet", "In Tra", "keys.yaml:2:5: keys.0.name"),
        ("    tenant: acme\n", "", "keys.yaml:2:5: keys.0.tenant"),
        ("60", "0", "keys.yaml:6:5: keys.0.requests_per_minute"),
        ("60", "'60'", "keys.yaml:6:5: keys.0.requests_per_minute"),
        ("concurrency", "concurency", "keys.yaml:7:5: keys.0.concurency"),
        ("x-user", "authorization", "keys.yaml:8:5: keys.0.user_header"),
        (GOOD, GOOD + SECOND.replace("other", "intranet"), "keys.yaml:9:6: keys.1.name"),
        (GOOD, GOOD + SECOND.replace("b" * 64, "a" * 64), "keys.yaml:9:19: keys.1.sha256"),
        ("keys:", "keys: [", "keys.yaml:"),
    ],
)
def test_what_is_wrong_has_a_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    config = write_config(tmp_path / "config", "http://127.0.0.1:1/v1")
    text = GOOD.replace(old, new)
    assert text != GOOD
    (config / "keys.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(config)
    assert place in str(raised.value)
    assert "aaaa" not in str(raised.value).lower()  # it might be a key
    assert [str(problem) for problem in check(config, {})] == [str(problem) for problem in raised.value.problems]


def test_check_knows_the_agents_and_the_service(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", "http://127.0.0.1:1/v1")
    (config / "keys.yaml").write_text(GOOD)
    assert check(config, {}) == []
    (config / "keys.yaml").write_text(GOOD.replace("[desk]", "[desk, dsek]"))
    (config / "service.yaml").write_text("turns: 0\nwating: 1\n")
    told = [str(problem).removeprefix(f"{config}/") for problem in check(config, {})]
    assert told == [
        "keys.yaml:5:20: keys.0.agents.1: found dsek, expected an agent of agents.yaml",
        "service.yaml:1:1: turns: found 0, expected at least 1",
        'service.yaml:2:1: wating: found the key "wating", expected `waiting`',
    ]
    with pytest.raises(ConfigError):
        load_options(config)


def test_a_new_key() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    for key, kept in made:
        assert key.startswith("agk_")
        assert len(key) == 47
        assert kept == digest(key) == hashlib.sha256(key.encode()).hexdigest()


def test_every_digest_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever key it is, and whether it is one: time tells nothing."""
    (tmp_path / "keys.yaml").write_text(GOOD.replace("a" * 64, digest("first")) + SECOND)
    compared: list[str] = []
    known = Keys(tmp_path)

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("agent.service.keys.hmac.compare_digest", compare)
    for key, name in (("first", "intranet"), ("wrong", None)):
        found = known.find(key)
        assert (found and found.name) == name
        assert compared == [digest("first"), "b" * 64]
        compared.clear()
