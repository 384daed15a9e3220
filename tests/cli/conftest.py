from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.offline.server import OfflineModel
from agent.types import Json
from tests.support.app import write_config


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said. `document` is for those that say one JSON object and nothing else."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Json]:
        [line] = self.out.splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Json]:
        found = self.document["error"]
        assert isinstance(found, dict)
        assert found["exit_code"] == self.code
        return found


Agent = Callable[..., Ran]


@pytest.fixture(name="server")
def _server() -> Iterator[OfflineModel]:
    with OfflineModel.in_thread() as server:
        yield server


@pytest.fixture(name="config")
def _config(tmp_path: Path, server: OfflineModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that asks `server`, and a store beside it: both are what the environment names."""
    config = write_config(tmp_path / "config", server.base_url)
    monkeypatch.setenv("AGENT_CONFIG", str(config))
    monkeypatch.setenv("AGENT_STORE", store_url(tmp_path))
    return config


def store_url(folder: Path, options: str = "synchronous=NORMAL") -> str:
    return f"sqlite:///{folder / 'store.db'}?{options}"


@pytest.fixture(name="agent")
def _agent(config: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Agent]:
    """`agent("ask", "…")` runs a command in this process."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    yield run
    root.handlers[:] = before
    root.setLevel(level)
