"""A process that asks, and can be stopped between two of its statements:
`python -m tests.faults.driver CONFIG STORE [--unstreamed] [--turns N] [--stop "before 2"] QUESTION`. Without a
question it goes on with others' turns until it is sent a line.

It says on stdout what happens: `ready`, `at STOP`, `text`, `in TOOL`, `finished TOOL`, then each turn's outcome. At
its stop nothing of its event loop runs until it is sent a line; its pulse beats on. Its signals and exit codes are
those of the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

from agent.app import App
from agent.cli.failures import told
from agent.cli.run import run
from agent.settings import Settings
from agent.store.store import Lease, Store
from agent.store.work import Done, Work
from agent.types import Event, TextDelta, ToolFinished
from telemetry import logs
from tests.faults.tools import say

LEASE = Lease(length=1.2, beat=0.2, reap=0.25)
"""As short as the pulse's tick allows: a test waits for the end of one."""


class StoppingStore:
    """A store whose n-th transaction can be waited before and after. All else of it is the store's own."""

    def __init__(self, store: Store, stop: str | None) -> None:
        self._store = store
        self._stop = stop
        self._transactions = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def do(self, work: Work) -> Done:
        self._transactions += 1
        number = self._transactions
        self._wait(f"before {number}")
        done = await self._store.do(work)
        self._wait(f"after {number}")
        return done

    def _wait(self, here: str) -> None:
        if here == self._stop:
            say(f"at {here}")
            sys.stdin.readline()


async def show(event: Event) -> None:
    if isinstance(event, TextDelta):
        say("text")
    elif isinstance(event, ToolFinished):
        say(f"finished {event.result.call.name}")


async def work(given: argparse.Namespace) -> int:
    settings = Settings(given.config, os.environ, str(given.store), lease=LEASE)
    async with App.open(settings, take_over=given.question is None) as app:
        app.services = replace(app.services, store=cast("Store", StoppingStore(app.services.store, given.stop)))
        say("ready")
        if given.question is None:
            await asyncio.to_thread(sys.stdin.readline)
            return 0
        asking = (app.ask(given.question, stream=not given.unstreamed, emit=show) for _ in range(given.turns))
        for result in await asyncio.gather(*asking):
            say(result.outcome)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("question", nargs="?")
    parser.add_argument("--unstreamed", action="store_true")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--stop")
    given = parser.parse_args()
    logs.configure()
    return told(True, lambda: run(lambda _: work(given)))


if __name__ == "__main__":
    sys.exit(main())
