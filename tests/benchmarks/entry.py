"""This program as one entry of an outside comparison: a turn of two model calls and two tool calls, everything on.

`setup(base_url, otlp_url)`, then `run(n)` turns one after the other, or `one()` on `loop`. AGENT_STORE chooses the
store (in memory unless set), BENCH_TELEMETRY=off switches export off, BENCH_STREAM=1 streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from agent.app import App
from tests.benchmarks.program import EXPECTED, QUESTION, opened

loop = asyncio.new_event_loop()
stack = contextlib.AsyncExitStack()
stream = os.environ.get("BENCH_STREAM") == "1"
app: App


def setup(base_url: str, otlp_url: str) -> None:
    """Starts the program."""
    global app
    store = os.environ.get("AGENT_STORE", "sqlite://")
    exported = None if os.environ.get("BENCH_TELEMETRY") == "off" else otlp_url
    app = loop.run_until_complete(opened(stack, base_url, store, exported))


async def one() -> str | None:
    return (await app.ask(QUESTION, stream=stream)).text


async def _run(turns: int) -> None:
    text = None
    for _ in range(turns):
        text = await one()
    if not text or not text.endswith(EXPECTED):
        raise AssertionError(f"wrong answer: {text!r}")


def run(turns: int) -> None:
    loop.run_until_complete(_run(turns))


def flush() -> None:
    app.services.telemetry.flush()
