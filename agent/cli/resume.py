"""`agent resume`: goes on with the turns that dead processes left unfinished."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from agent.cli import documents, trailer
from agent.cli.budgets import standings
from agent.cli.common import AsJson, MetricsPort, common, opened
from agent.cli.failures import told
from agent.cli.run import Signals, run
from agent.cli.terminal import err, note, out, safe

if TYPE_CHECKING:
    from agent.app import App
    from agent.types import Json, TurnResult

EXAMPLES = """\
[bold]Examples[/bold]
  agent resume
  agent resume --json | jq '.turns[] | [.turn_id, .outcome]'

A process counts as dead once its lease has run out, 15 s after its last beat
unless AGENT_STORE says otherwise. One that lives keeps its turns and is not
waited for.

[bold]JSON[/bold]
  turns, a list of what agent ask gives; left, the ids of turns that another
  process has, or whose agent or prompt isn't configured here;
  or error {kind message exit_code problems}\
"""
LOOK = 0.25
"""Seconds between two looks at others' leases: no file tells when another process has written to it."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was gone on with, and the turns that were waiting and were not."""

    results: Sequence[TurnResult]
    left: Sequence[str]


def resume(context: typer.Context, metrics_port: MetricsPort = None, as_json: AsJson = False) -> int:
    """Go on with turns that a dead process left unfinished.

    What had been answered is not asked again, what had been paid for is not paid for again.
    """

    async def work(_: Signals) -> int:
        async with opened(common(context).settings(), metrics_port=metrics_port) as app:
            await _others_have_ended(app)
            resumed = await _resumed(app)
            if as_json:
                await _write(app, resumed)
            else:
                _show(app, resumed)
        return 0 if all(result.outcome == "answered" for result in resumed.results) else 1

    return told(as_json, lambda: run(work))


async def _others_have_ended(app: App) -> None:
    """Waits until every other process that owns a turn has moved its lease on, or its turns were queued."""
    import asyncio

    first = await _leases(app)
    silent = first
    with _waiting() as tell:
        while silent:
            tell(len(silent), max(silent.values()) - await app.services.store.read(lambda tx: tx.now()))
            await asyncio.sleep(LOOK)
            silent = {worker: until for worker, until in (await _leases(app)).items() if first.get(worker) == until}


async def _leases(app: App) -> dict[str, int]:
    from agent.store import underway

    store = app.services.store
    return await store.read(lambda tx: underway.leases(tx, store.worker))


@contextlib.contextmanager
def _waiting() -> Iterator[Callable[[int, int], None]]:
    """Gives what tells people how long it may take: a line that changes on a terminal, else one line once."""
    console = err()
    told_once = False
    with console.status("looking for unfinished turns") as status:

        def tell(processes: int, micros: int) -> None:
            nonlocal told_once
            text = f"waiting up to {max(micros, 0) / 1e6:.0f} s for {processes} silent process(es) to be dead or alive"
            status.update(text)
            if not console.is_terminal and not told_once:
                note(text)
            told_once = True

        yield tell


async def _resumed(app: App) -> Resumed:
    """Ctrl-C gives the turn under way back, for another process to go on with."""
    import asyncio

    from agent.store import turns

    waiting = await app.services.store.read(lambda tx: turns.queued(tx, tx.now()))
    task = asyncio.create_task(app.resume())
    try:
        results = await asyncio.shield(task)
    except asyncio.CancelledError:
        await app.hand_back()
        await asyncio.wait([task])
        raise
    ended = {result.turn_id for result in results}
    return Resumed(results, [turn for turn in waiting if turn not in ended])


async def _write(app: App, resumed: Resumed) -> None:
    ended: list[Json] = [
        documents.result(each, await standings(app, each), trailer.stand_in(app, each)) for each in resumed.results
    ]
    documents.write({"turns": ended, "left": list(resumed.left)})


def _show(app: App, resumed: Resumed) -> None:
    console = out()
    if not resumed.results and not resumed.left:
        console.print("Nothing to resume.")
    for each in resumed.results:
        console.print(trailer.brief(each), soft_wrap=True)
        if each.text:
            console.print(safe(each.text), soft_wrap=True)
    for turn in resumed.left:
        console.print(
            f"{turn}  not gone on with here: another process has it, or its agent or prompt isn't configured",
            soft_wrap=True,
        )
