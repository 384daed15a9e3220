"""`agent resume`: goes on with the turns that dead processes left unfinished."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from agent.cli import documents, trailer
from agent.cli.budgets import standings
from agent.cli.common import AsJson, MetricsPort, common, opened
from agent.cli.failures import told
from agent.cli.run import Signals, run
from agent.cli.terminal import err, note, out, usd

if TYPE_CHECKING:
    from agent.app import App
    from agent.types import Json, TurnResult

EXAMPLES = """\
[bold]Examples[/bold]
  agent resume
  agent resume --json | jq '.turns[] | [.turn_id, .outcome]'

A process counts as dead once its lease has run out (15 s after its last beat, unless AGENT_STORE says otherwise).
Processes that live keep their turns, and are not waited for.

[bold]JSON[/bold]
  turns, each of them as of agent ask · unfinished [turn_id]: no agent or no prompt version for them here;
  or error {kind message exit_code problems}\
"""
LOOK = 0.25
"""Seconds between two looks at others' leases: no file tells when another process has written to it."""


def resume(context: typer.Context, metrics_port: MetricsPort = None, as_json: AsJson = False) -> int:
    """Go on with turns that a dead process left unfinished.

    What had been answered is not asked again, what had been paid for is not paid for again.
    """

    async def work(_: Signals) -> int:
        async with opened(common(context).settings(), metrics_port=metrics_port) as app:
            await _others_have_ended(app)
            results = await _resumed(app)
            (_write if as_json else _show)(app, results)
        return 0 if all(result.outcome == "answered" for result in results) else 1

    return told(as_json, lambda: run(work))


async def _others_have_ended(app: App) -> None:
    """Waits until every other process that owns a turn has moved its lease on, has left, or was declared dead."""
    first = _leases(app)
    silent = first
    with _waiting() as tell:
        while silent:
            tell(len(silent), max(silent.values()) - app.services.store.read(lambda tx: tx.now()))
            await asyncio.sleep(LOOK)
            silent = {worker: until for worker, until in _leases(app).items() if first.get(worker) == until}
