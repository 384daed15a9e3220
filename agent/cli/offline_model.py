"""`agent offline-model`: the stand-in as a server of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failures import CannotStart, told
from agent.cli.run import Signals, run
from agent.cli.terminal import out

EXAMPLES = """\
[bold]Examples[/bold]
  agent offline-model
  agent offline-model --port 0 --log requests.jsonl --pace 0.02
  curl localhost:8089/faults -d '{"name": "status", "argument": 429}'

The last one makes the next request fail. GET /requests shows what was asked,
GET /faults what it can play. Ctrl-C ends it.\
"""


def offline_model(
    host: Annotated[str, typer.Option("--host", help="A loopback address: it has no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8089,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Append every request to this file, as JSON lines.")
    ] = None,
    pace: Annotated[float, typer.Option("--pace", min=0, help="Seconds before each piece of an answer.")] = 0.0,
) -> int:
    """Run the offline stand-in for a model: Chat Completions without account, key or network.

    It plays the helpdesk from what it is sent, and faults on demand. It is no model.
    """

    async def work(_: Signals) -> int:
        import asyncio

        from agent.offline.server import OfflineModel, Pace

        async with contextlib.AsyncExitStack() as stack:
            try:
                server = OfflineModel(port, host, pace=Pace(chunk=pace), log_file=log)
                await stack.enter_async_context(server)
            except (OSError, ValueError) as error:
                raise CannotStart(f"{host}:{port}: {error}") from error
            _announce(server.base_url)
            await asyncio.Event().wait()
        return 0

    return told(False, lambda: run(work))


def _announce(url: str) -> None:
    console = out()
    console.print(f"The offline stand-in (not a real model) listens at {url}", soft_wrap=True)
    console.print(f"  export OPENAI_BASE_URL={url}\n  export OPENAI_API_KEY=offline", soft_wrap=True)
