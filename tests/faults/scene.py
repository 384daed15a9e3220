"""A provider, a store, and the processes at it: one that is stopped at a point, and others that go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.app import App
from agent.offline.faults import Fault
from agent.offline.gates import Gate
from agent.offline.server import OfflineModel
from agent.offline.wire import Stop
from agent.types import TurnResult
from tests.faults.driver import LEASE
from tests.faults.points import Place
from tests.faults.tools import RUNS
from tests.support import books
from tests.support.app import Overrides, running_app, write_config
from tests.support.behind import reap
from tests.support.processes import Process, Processes, processes
from tests.support.stage import COUNTS, call, said

QUESTION = "The battery of my laptop is flat."
PATIENCE = 20.0
"""Seconds for what takes one or two."""

ASK: Overrides = {"tools": ["tests.faults.tools"], "lease": LEASE, "synchronous": "FULL"}


def asks_for_tools(stream: bool) -> Fault:
    """The first reply of a turn; the second one is the stand-in's own, made of what the tools said."""
    calls = [
        call("order_part", '{"name":"battery"}', "call_1"),
        call("open_ticket", '{"summary":"flat"}', "call_2"),
    ]
    message = {"role": "assistant", "content": "Let me see to that.", "tool_calls": calls}
    return said(stream, message, "tool_calls", COUNTS)


@dataclass
class Scene:
    """`folder` has the configuration and the store. `stopped` is the process under test, `gate` what holds its
    request, `pipe` what holds its tool."""

    folder: Path
    server: OfflineModel
    processes: Processes
    stream: bool = True
    gate: Gate | None = None
    pipe: int | None = None
    results: list[TurnResult] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    # --- the process that is stopped ---

    def driver(self, *arguments: str) -> Process:
        write_config(self.config, self.server.base_url, **ASK)
        return self.processes.python("-m", "tests.faults.driver", str(self.config), str(self.store), *arguments)

    def asking(self, *options: str) -> Process:
        return self.driver(QUESTION, *options, *([] if self.stream else ["--unstreamed"]))

    def resuming(self) -> Process:
        """The command, on its own: `agent resume`."""
        url = f"sqlite:///{self.store}?lease=2"
        return self.processes.agent("resume", "--json", env={"AGENT_CONFIG": str(self.config), "AGENT_STORE": url})

    def reach(self, place: Place) -> Process:
        """A process that has come to this place and is there until it is let go on."""
        if place.status:
            self.server.faults.push(Fault("status", place.status))
        self.server.faults.push(*self._replies(place))
        if place.tool:
            self.hold(place.tool)
        process = self.asking(*(["--stop", place.stop] if place.stop else []))
        if place.stop:
            process.wait_for_line(f"at {place.stop}$")
        if self.gate:
            self.gate.wait_arrived(PATIENCE)
            if place.within and self.stream:
                process.wait_for_line("text")
        if place.tool:
            process.wait_for_line(f"in {place.tool}")
            process.wait_for_line("finished")
        self.server.faults.clear()
        return process

    def hold(self, tool: str) -> None:
        """Runs of this tool begin, and then wait until they are let go."""
        self.config.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self.config / tool)
        self.pipe = os.open(self.config / tool, os.O_RDWR)

    def _replies(self, place: Place) -> Sequence[Fault]:
        if place.request is None:
            return [asks_for_tools(self.stream)]
        self.gate = self.server.gates.named("held")
        after = None if not place.within else 3 if self.stream else 1
        asks = asks_for_tools(self.stream)
        if place.request == 2:
            return [asks, Fault("gate", "held" if after is None else f"held@{after}")]
        assert asks.raw
        return [replace(asks, raw=replace(asks.raw, stop=Stop("gate", after, "held")))]

    def free_tools(self) -> None:
        """Those of later runs; one that is held back is until `let_go`."""
        for tool in ("order_part", "open_ticket"):
            (self.config / tool).unlink(missing_ok=True)

    def let_go(self) -> None:
        """What holds its request or its tool does so no longer."""
        if self.gate:
            self.gate.release()
        if self.pipe is not None:
            os.close(self.pipe)
            self.pipe = None

    # --- those that go on ---

    @contextlib.asynccontextmanager
    async def another(self) -> AsyncIterator[App]:
        """Another process of the store: this one. No tool is held back in it."""
        self.free_tools()
        async with running_app(self.folder, self.server, **ASK) as app:
            if not any(step["key"] == "m0" for step in self.steps()):
                self.server.faults.push(asks_for_tools(self.stream))
            yield app

    async def goes_on(self, app: App) -> None:
        """Takes over whatever there is, until every other process is dead, every turn done, every hold ended. No turn
        is waited for that is left alone for a while because its last take-over failed."""
        async with asyncio.timeout(PATIENCE):
            while self.open(app):
                reap(self.store)
                self.results += await app.resume()
                await asyncio.sleep(0.02)

    def open(self, app: App) -> bool:
        others = [row for row in books.table(self.store, "worker") if row["id"] != app.services.store.worker]
        states = [*(row["state"] != "dead" for row in others), *(row["state"] != "done" for row in self.turns())]
        return any(states) or bool(books.table(self.store, "hold"))

    # --- what there is ---

    def turns(self) -> list[dict[str, books.Value]]:
        return books.table(self.store, "turn")

    def steps(self) -> list[dict[str, books.Value]]:
        return books.table(self.store, "step", "turn, position")

    def ledger(self) -> list[dict[str, books.Value]]:
        return books.table(self.store, "ledger", "id")

    def kinds(self) -> Mapping[str, int]:
        return Counter(str(row["kind"]) for row in self.ledger())

    def ran(self, tool: str) -> list[dict[str, books.Value]]:
        runs = self.config / RUNS
        lines = runs.read_text().splitlines() if runs.exists() else []
        return [run for run in map(json.loads, lines) if run["tool"] == tool]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A turn that nothing happens to: its answer, the size of the request that it was the answer to, its store."""

    text: str
    input_tokens: int
    store: Path


async def undisturbed(folder: Path) -> Undisturbed:
    with OfflineModel.in_thread() as server, processes() as none:
        scene = Scene(folder, server, none)
        async with scene.another() as app:
            result = await app.ask(QUESTION)
        assert result.text
        return Undisturbed(result.text, server.log.accesses[-1].input_tokens, scene.store)
