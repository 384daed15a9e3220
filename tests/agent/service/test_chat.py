"""One request is one turn: through the official SDK, streamed and not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from agent.offline.server import OfflineModel
from tests.support.app import running_app
from tests.support.serving import Served, served


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Served]:
    async with OfflineModel() as model, running_app(tmp_path, model) as app, served(app) as there:
        yield there


@pytest.fixture
async def client(service: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=service.url, api_key="none", max_retries=0) as client:
        yield client


async def test_an_answer(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="desk", messages=[{"role": "user", "content": "Hello"}], temperature=0.5, seed=1
    )
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert completion.usage.total_tokens > 0
    assert raw.headers["x-trace-id"] == completion.agent["trace_id"]  # type: ignore[attr-defined]
    assert raw.headers["x-agent-ignored"] == "seed, temperature"


async def test_a_stream(client: AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="desk",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    ]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    assert chunks[-1].usage
    assert chunks[-1].choices == []
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].agent["outcome"] == "answered"  # type: ignore[attr-defined]
