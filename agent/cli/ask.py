"""`agent ask`: one question, its answer as it comes, and what became of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import documents, streams, trailer, tree
from agent.cli.budgets import standings
from agent.cli.common import AgentName, AsJson, ConversationId, MetricsPort, NoStream, User, common, named_agent, opened
from agent.cli.cut_short import cut_short
from agent.cli.failures import Mistyped, told
from agent.cli.run import Signals, run
from agent.cli.terminal import out
from agent.cli.watching import Watching

if TYPE_CHECKING:
    from agent.app import App
    from agent.trace_tree import TurnTree
    from agent.types import TurnResult

EXAMPLES = """\
[bold]Examples[/bold]
  agent ask "I'm user U-123 and my laptop will not connect to wifi."
  agent ask --trace "How do I set up the VPN?"
  agent ask --conversation 01a2… "And on my phone?"
  git diff | agent ask - --json | jq -r .text

[bold]JSON[/bold]
  turn_id conversation_id trace_id agent outcome text reason models
  stand_in seconds prompt {name version} usage {input_tokens output_tokens}
  cost {nano_usd usd} budgets [{name limit charged held left}], sums as cost,
  and with --trace: trace, as of agent trace.
  Or error {kind message exit_code problems}; beside it all of the above where
  a signal has ended the turn. null is unknown, never zero.\
"""
PACE = 0.004
"""Seconds between two pieces of the stand-in's text, so that somebody at a terminal sees that it streams."""


def ask(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The question; - reads it from stdin.")],
    agent: AgentName = None,
    conversation: ConversationId = None,
    user: User = None,
    trace: Annotated[bool, typer.Option("--trace", metavar="", help="Show the trace of the turn afterwards.")] = False,
    no_stream: NoStream = False,
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
) -> int:
    """Ask one question and watch it being answered.

    The answer and what became of it go to stdout, tool calls and retries to stderr.
    """

    async def work(signals: Signals) -> int:
        import asyncio

        from agent.app import discard
        from agent.types import Caller

        question = _question(text)
        watching = None if as_json else Watching()
        pace = PACE if watching and streams.stdout().isatty() else 0.0
        async with opened(common(context).settings(), metrics_port=metrics_port, pace=pace) as app:
            asking = app.ask(
                question,
                agent=named_agent(app, agent),
                caller=Caller(user=user),
                conversation=conversation,
                stream=not no_stream,
                emit=watching or discard,
            )
            try:
                result = await asking
            except asyncio.CancelledError:
                await _tell_cut_short(app, signals, watching)
                raise
            if watching is None:
                await _write(app, result, trace)
            else:
                watching.end(result)
                await _show(app, result, trace)
        return 0 if result.outcome == "answered" else 1

    return told(as_json, lambda: run(work))


def _question(text: str) -> str:
    """Raises `Mistyped` where there is none."""
    question = sys.stdin.buffer.read().decode(errors="replace") if text == "-" else text
    if not question.strip():
        raise Mistyped("there is no question: it is empty")
    return question


async def _tell_cut_short(app: App, signals: Signals, watching: Watching | None) -> None:
    """What a signal has ended is paid for, too."""
    if watching:
        watching.interrupted()
    result = await cut_short(app, ())
    if result is None:
        return
    if watching is None:
        signals.so_far = documents.result(result, await standings(app, result), trailer.stand_in(app, result))
    else:
        trailer.show(out(), app, result, await standings(app, result))


async def _write(app: App, result: TurnResult, trace: bool) -> None:
    document = documents.result(result, await standings(app, result), trailer.stand_in(app, result))
    if trace:
        document["trace"] = documents.tree(await _tree(app, result))
    documents.write(document)


async def _show(app: App, result: TurnResult, trace: bool) -> None:
    console = out()
    console.print()
    if trace:
        tree.show(console, await _tree(app, result))
        console.print()
    trailer.show(console, app, result, await standings(app, result))


async def _tree(app: App, result: TurnResult) -> TurnTree:
    from agent import trace_tree

    return await app.services.store.read(lambda tx: trace_tree.read(tx, result.turn_id))
