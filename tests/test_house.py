"""The rules of the house: who may import whom, and what is imported or called in one place only."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from sys import stdlib_module_names

import pytest

from tests.support.processes import ROOT

OURS = ("agent", "telemetry", "tests", "dashboards")
FORBIDDEN = [
    ("telemetry", ("agent", "tests", "dashboards")),
    ("agent", ("tests", "dashboards")),
    ("agent/store", ("agent.cli", "agent.app", "agent.loop", "agent.models", "agent.tools", "agent.prompts")),
    ("agent/models", ("agent.cli", "agent.app", "agent.loop", "agent.store", "agent.tools")),
    ("agent/money", ("agent.cli", "agent.app", "agent.loop", "agent.store", "agent.models")),
    ("agent/offline", ("agent.cli", "agent.app", "agent.loop", "agent.store", "agent.models", "agent.money")),
    ("agent", ("agent.cli",)),
]
"""A folder, and what nothing in it may import. Only the command line itself imports the command line."""

ONE_PLACE = [
    ("opentelemetry.sdk", {"telemetry/otlp.py", "telemetry/otlp_metrics.py", "telemetry/recording.py"}),
    ("opentelemetry.exporter", {"telemetry/otlp.py", "telemetry/otlp_metrics.py"}),
    ("openai", {"agent/models/openai_chat.py", "agent/models/sdk.py"}),
    ("httpx2", {"agent/models/openai_chat.py", "agent/models/sdk.py", "agent/models/transport.py"}),
    ("genai_prices", {"telemetry/price_book.py"}),
    ("sqlite3", {"agent/store", "agent/tools/search.py"}),
    ("sqlalchemy", {"agent/store", "agent/takeover.py"}),
]
"""A library, and the only files or folders that know it."""


@cache
def sources(folder: str) -> tuple[Path, ...]:
    return tuple(sorted((ROOT / folder).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """The dotted names of everything that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{name(path)}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_of(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize(("folder", "others"), FORBIDDEN)
def test_import_directions(folder: str, others: tuple[str, ...]) -> None:
    own = {"agent/cli", "agent/__main__.py"} if others == ("agent.cli",) else set()
    found = [
        f"{name(path)} imports {module}"
        for path in sources(folder)
        if not any(is_inside(path, place) for place in own)
        for module in imports(path)
        if any(is_of(module, other) for other in others)
    ]
    assert found == []


@pytest.mark.parametrize(("library", "places"), ONE_PLACE)
def test_a_library_is_known_in_one_place(library: str, places: set[str]) -> None:
    users = {path for path in everything() if any(is_of(module, library) for module in imports(path))}
    assert users, f"{library} is not used at all: remove it from this table"
    assert [name(path) for path in sorted(users) if not any(is_inside(path, place) for place in places)] == []


def everything() -> Iterator[Path]:
    yield from sources("agent")
    yield from sources("telemetry")


def is_inside(path: Path, place: str) -> bool:
    return name(path) == place or name(path).startswith(f"{place}/")


def test_an_event_loop_is_started_in_one_place() -> None:
    calls = [
        name(path)
        for path in everything()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("asyncio.run", "asyncio.Runner", "anyio.run")
    ]
    assert calls == ["agent/cli/run.py"]


def test_the_environment_is_read_at_the_edge_only() -> None:
    readers = {
        name(path)
        for path in everything()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }
    outside = {reader for reader in readers if not reader.startswith("agent/cli/")}
    assert outside == {"agent/models/estimate.py"}  # where tiktoken's own variable says that its files are


def test_what_is_imported_is_declared() -> None:
    """Not what happens to be installed because something else needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normal(re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0]) for each in project["dependencies"]}
    declared |= {normal("pydantic-core")}  # pydantic needs exactly one version of it
    distributions = packages_distributions()
    used = {module.partition(".")[0] for path in everything() for module in imports(path)}
    undeclared = {
        package
        for package in used - set(stdlib_module_names) - set(OURS)
        if not {normal(each) for each in distributions[package]} & declared
    }
    assert undeclared == set()


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_the_lock_file_names_no_index_and_has_every_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = [line for line in lock.splitlines() if re.match(r"[a-zA-Z0-9]", line)]
    assert all(line.endswith("\\") for line in entries)


def test_the_lock_file_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {normal(match) for match in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", lock, re.MULTILINE)}
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {normal(re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0]) for each in asked} <= locked
