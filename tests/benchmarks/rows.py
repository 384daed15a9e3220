"""What is measured, and against what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import aiohttp

from agent.app import App
from agent.store.sqlite import Synchronous
from agent.store.store import Lease, Store
from agent.types import Event, TextDelta
from tests.benchmarks import account
from tests.benchmarks.bare import Bare, first_byte
from tests.benchmarks.program import EXPECTED, QUESTION, opened

Run: TypeAlias = Callable[[int], Awaitable[float | None]]
"""Does the work so many times. What it returns is the row's own figure, in seconds; else its times are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row runs: the model's address, where spans go, a folder of its own; `stack` is closed at the end."""

    base_url: str
    otlp_url: str
    folder: Path
    stack: AsyncExitStack


Shown = Literal["cpu", "wall", "later", "rate"]
"""What is said of a row: its CPU or wall time divided by that of another one (wall where it waits for a disk), how much
later than the other it is, or how many of it there are in a second."""


@dataclass(frozen=True, slots=True)
class Row:
    """`count` a chunk; `against`: the row that it is compared with; `goal` in words."""

    title: str
    open: Callable[[Place], Awaitable[Run]]
    count: int = 40
    against: str | None = None
    shown: Shown = "cpu"
    goal: str = ""


def in_order(one: Callable[[], Awaitable[str | None]]) -> Run:
    async def run(count: int) -> None:
        said = None
        for _ in range(count):
            said = await one()
        assert said, said
        assert said.endswith(EXPECTED), said

    return run


def at_once(one: Callable[[], Awaitable[str | None]], width: int = 16) -> Run:
    async def run(count: int) -> None:
        await asyncio.gather(*(in_order(one)(count // width) for _ in range(width)))

    return run


async def bare(place: Place) -> Run:
    return in_order(Bare(place.base_url).turn)


async def bare_at_once(place: Place) -> Run:
    return at_once(Bare(place.base_url).turn)


async def bare_stream(place: Place) -> Run:
    return in_order(Bare(place.base_url).stream)


async def http_first_byte(place: Place) -> Run:
    session = await place.stack.enter_async_context(aiohttp.ClientSession())

    async def run(count: int) -> float:
        return sum([await first_byte(session, place.base_url) for _ in range(count)]) / count

    return run


def turns(
    store: str = "sqlite://", *, traced: bool = True, stream: bool = False, agent: str = "support", wide: bool = False
) -> Callable[[Place], Awaitable[Run]]:
    """Turns of this program. `{folder}` in `store` is the row's own."""

    async def open_row(place: Place) -> Run:
        app = await _app(place, store.format(folder=place.folder), traced)

        async def one() -> str | None:
            return (await app.ask(QUESTION, stream=stream, agent=agent)).text

        run = at_once(one) if wide else in_order(one)
        return _flushed(run, app)

    return open_row


async def first_text(place: Place) -> Run:
    """Seconds from the question to the first text that is shown, the turn's first transaction included."""
    app = await _app(place, "sqlite://", True)

    async def one() -> float:
        began, first = time.perf_counter(), 0.0

        async def emit(event: Event) -> None:
            nonlocal first
            if isinstance(event, TextDelta) and not first:
                first = time.perf_counter() - began

        await app.ask(QUESTION, agent="talker", emit=emit)
        return first

    async def run(count: int) -> float:
        return sum([await one() for _ in range(count)]) / count

    return run


def money(synchronous: Synchronous) -> Callable[[Place], Awaitable[Run]]:
    async def open_row(place: Place) -> Run:
        store = Store(str(place.folder / "account.db"), Lease(300.0), synchronous)
        place.stack.push_async_callback(store.close)
        return lambda count: account.pairs(store, count)

    return open_row


async def _app(place: Place, store: str, traced: bool) -> App:
    return await opened(place.stack, place.base_url, store, place.otlp_url if traced else None)


def _flushed(run: Run, app: App) -> Run:
    """Exporting belongs to what a turn costs."""

    async def and_flush(count: int) -> None:
        await run(count)
        app.services.telemetry.flush()

    return and_flush


NORMAL = "sqlite:///{folder}/normal.db?synchronous=NORMAL"
FULL = "sqlite:///{folder}/full.db?synchronous=FULL"

ROWS = {
    "bare": Row("bare loop, AsyncOpenAI", bare),
    "ours": Row("turn, everything on", turns(), against="bare", goal="≤ 0.5"),
    "untraced": Row("turn, spans off", turns(traced=False), against="bare"),
    "streamed": Row("turn, everything on, streamed", turns(stream=True), against="bare"),
    "bare16": Row("bare loop, 16 at once", bare_at_once, count=64),
    "memory16": Row("turn in memory, 16 at once", turns(wide=True), 64, "bare16", "wall"),
    "normal16": Row("turn on SQLite NORMAL, 16 at once", turns(NORMAL, wide=True), 64, "bare16", "wall", "≤ 1.3"),
    "full16": Row("turn on SQLite FULL, 16 at once", turns(FULL, wide=True), 64, "bare16", "wall"),
    "typed": Row("stream of 64 typed chunks, SDK alone", bare_stream, count=20),
    "chunks": Row("the same as a turn, everything on", turns(stream=True, agent="talker"), 20, "typed", goal="≤ 0.4"),
    "byte": Row("first byte, HTTP client alone", http_first_byte),
    "text": Row("first text of a turn", first_text, against="byte", shown="later", goal="≤ 1,000 µs"),
    "money": Row("reserve + settle, SQLite NORMAL, 64 tasks", money("NORMAL"), 640, shown="rate", goal="≥ 4,000/s"),
    "moneyfull": Row("reserve + settle, SQLite FULL, 64 tasks", money("FULL"), 640, shown="rate"),
}
