"""A stand-in of its own for each test, and the real SDK to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from agent.offline.server import OfflineModel


@pytest.fixture
async def server() -> AsyncIterator[OfflineModel]:
    async with OfflineModel() as server:
        yield server


@pytest.fixture
async def client(server: OfflineModel) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client
