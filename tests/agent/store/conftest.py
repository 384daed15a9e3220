from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.store.store import Lease, Store


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture(name="store", params=["FULL", "NORMAL"])
async def _store(request: pytest.FixtureRequest, path: str) -> AsyncIterator[Store]:
    """A store that commits in a thread (FULL), and one that commits on the event loop."""
    store = Store(path, Lease(), request.param)
    yield store
    await store.close()
