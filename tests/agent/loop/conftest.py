from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from agent.offline.server import OfflineModel
from tests.support import desk


@pytest.fixture(name="server")
async def _server() -> AsyncIterator[OfflineModel]:
    async with OfflineModel() as server:
        yield server


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(desk, "meeting", desk.Meeting())
    desk.RUNS.clear()
    yield
    desk.blocked.set()
