from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.server import OfflineModel
from tests.faults.scene import Scene, Undisturbed, undisturbed
from tests.support.processes import Processes

pytest.register_assert_rewrite("tests.faults.ending")


@pytest.fixture(name="stream", params=[True, False], ids=["streamed", "unstreamed"])
def _stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(name="scene")
def _scene(tmp_path: Path, processes: Processes, stream: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with OfflineModel.in_thread() as server:
        yield Scene(tmp_path, server, processes, stream)


@pytest.fixture(name="undisturbed", scope="session")
def _undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return asyncio.run(undisturbed(tmp_path_factory.mktemp("undisturbed")))
