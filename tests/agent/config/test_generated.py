"""A thousand bad configurations: each is read or refused with problems; none is a traceback or a hang."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import ConfigError, Problem, yaml_text
from agent.config.load import Config, load_config
from agent.prompts.templates import PromptError, render

SHIPPED = Path(__file__).parents[3] / "config"
FILES = ("agents.yaml", "models.yaml", "budgets.yaml", "prompts/helpdesk/1.md")
FRAGMENTS = [
    *(
        b"\t",
        b"\n",
        b"---\n",
        b"...",
        b": ",
        b"- ",
        b"? ",
        b"{",
        b"[",
        b"}",
        b"]",
        b"'",
        b'"',
        b"|\n",
        b">-\n",
        b"\\x",
        b"=",
    ),
    *(b"&a ", b"*a", b"!x ", b"!!python/object:os.system ", b"%YAML 9.9\n", b"<<: ", b'"\\ud800"', b'"\\0"'),
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x98\x80",
        b"{{",
        b"{% for x in y %}",
        b"{{ x.__class__ }}",
    ),
    *(b"null", b"~", b"true", b"no", b"1e999", b".nan", b"-.inf", b"0x", b"0o9", b"1_000", b"12:30", b"2026-01-01"),
    *(b"9" * 5000, b"[" * 2000, b"{a: " * 2000, b"- " * 2000),
]
edits = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 40), st.sampled_from(FRAGMENTS) | st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def spoil(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """At each place: that many bytes are taken out, and others put in."""
    for at, length, fragment in changes:
        start = at % (len(content) + 1)
        content = content[:start] + fragment + content[start + length :]
    return content


def put(content: bytes, keys: list[int], value: object) -> bytes:
    """The document with `value` in place of one that is already there, found by following `keys`."""
    root = yaml.safe_load(content)
    node = root
    for key in keys:
        name = sorted(node)[key % len(node)]
        if not isinstance(node[name], dict) or not node[name]:
            break
        node = node[name]
    node[name] = value
    return yaml.safe_dump(root, allow_unicode=True).encode("utf-8", "surrogatepass")


def read(folder: Path) -> None:
    """The claim: a configuration that works, or problems that each say something."""
    outcome = attempt(folder)
    if isinstance(outcome, Config):
        for agent in outcome.agents.agents.values():
            with suppress(PromptError):
                assert isinstance(render(outcome.newest_prompt(agent.prompt), agent.variables), str)
    else:
        assert outcome
        assert all(problem.file and problem.found and problem.expected for problem in outcome)


def attempt(folder: Path) -> Config | tuple[Problem, ...]:
    try:
        return load_config(folder)
    except ConfigError as error:
        return error.problems


@pytest.fixture(scope="module", params=["libyaml", "python"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    copy = tmp_path_factory.mktemp("generated") / "config"
    shutil.copytree(SHIPPED, copy)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(yaml_text, "_Loader", yaml.SafeLoader)
        yield copy


@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(file=st.sampled_from(FILES), changes=edits)
def test_bytes_spoilt(folder: Path, file: str, changes: list[tuple[int, int, bytes]]) -> None:
    original = (SHIPPED / file).read_bytes()
    (folder / file).write_bytes(spoil(original, changes))
    try:
        read(folder)
    finally:
        (folder / file).write_bytes(original)


@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(file=st.sampled_from(FILES[:3]), keys=st.lists(st.integers(0, 20), min_size=1, max_size=5), value=values)
def test_a_value_replaced(folder: Path, file: str, keys: list[int], value: object) -> None:
    original = (SHIPPED / file).read_bytes()
    (folder / file).write_bytes(put(original, keys, value))
    try:
        read(folder)
    finally:
        (folder / file).write_bytes(original)


@settings(max_examples=200, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(file=st.sampled_from(FILES), content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_at_all(folder: Path, file: str, content: bytes) -> None:
    original = (SHIPPED / file).read_bytes()
    (folder / file).write_bytes(content)
    try:
        read(folder)
    finally:
        (folder / file).write_bytes(original)
