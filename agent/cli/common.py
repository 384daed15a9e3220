"""What every command is told beside its own options, and the way from there to settings and a running app."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import streams
from agent.cli.failures import CannotStart, Mistyped
from agent.cli.terminal import note

if TYPE_CHECKING:
    from agent.app import App
    from agent.settings import Settings
    from agent.store.tx import Tx
    from telemetry.scrape import MetricsServer

AsJson = Annotated[
    bool, typer.Option("--json", metavar="", help="One JSON object on stdout and nothing else there; see below.")
]
AgentName = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Which agent of agents.yaml; else its default.")
]
ConversationId = Annotated[
    str | None, typer.Option("--conversation", metavar="ID", help="Go on with this conversation.")
]
NoStream = Annotated[bool, typer.Option("--no-stream", metavar="", help="Ask the model for its answers in one piece.")]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics-port", min=0, max=65535, help="Serve /metrics for Prometheus here meanwhile (0: any)."),
]


def _somebody(user: str | None) -> str | None:
    if user is not None and not user.strip():
        raise typer.BadParameter("it is empty; leave it out where it is nobody in particular")
    return user


User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="ID",
        help="On whose behalf; a pseudonym, for traces and the ledger.",
        callback=_somebody,
    ),
]


@dataclass(frozen=True, slots=True)
class Common:
    """The options before the command."""

    config: Path
    log_level: str

    def settings(self) -> Settings:
        """Starts logging, too. Raises `ConfigError` and `CannotStart`."""
        from agent.settings import from_env
        from telemetry import logs

        logs.configure(self.log_level)
        return from_env(self.folder(), os.environ)

    def folder(self) -> Path:
        """The configuration's folder. Raises `CannotStart` where there is none."""
        if not self.config.is_dir():
            raise CannotStart(
                f"{self.config}: no such folder; run this where config/ is, or name it by --config or AGENT_CONFIG"
            )
        return self.config


def common(context: typer.Context) -> Common:
    found = context.obj
    assert isinstance(found, Common)
    return found


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, metrics_port: int | None = None, pace: float = 0.0, take_over: bool = False
) -> AsyncIterator[App]:
    """A running app; its tools have no stdin. Raises `CannotStart`, and what `App.open` raises for a configuration."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(streams.stdin_withheld())
        with _starting():
            from agent.app import App

            app = await stack.enter_async_context(App.open(settings, stand_in_pace=pace, take_over=take_over))
        if metrics_port is not None:
            stack.callback(_serve(app, metrics_port).close)
        yield app


@contextlib.contextmanager
def books(given: Common) -> Iterator[Tx]:
    """The store, to be read without being one of its processes. Raises `CannotStart` and `NoStore`."""
    from agent.store.errors import NoStore, StoreBusy, StoreError
    from agent.store.reader import reading

    settings = given.settings()
    try:
        with reading(settings.store) as tx:
            yield tx
    except (NoStore, StoreBusy):
        raise
    except StoreError as error:
        raise CannotStart(str(error)) from error


def named_agent(app: App, name: str | None) -> str | None:
    """Raises `Mistyped` where there is no agent of this name."""
    if name is not None and name not in app.agents:
        raise Mistyped(f"no agent {name} in agents.yaml; there is {', '.join(sorted(app.agents))}")
    return name


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Imports make much that stays: collecting in between costs a tenth of the start and frees nothing."""
    from agent.store.errors import StoreError

    gc.disable()
    try:
        yield
    except (StoreError, ValueError) as error:  # ValueError: a variable of the environment that says something unknown
        raise CannotStart(str(error)) from error
    finally:
        gc.enable()
        gc.freeze()


def _serve(app: App, port: int) -> MetricsServer:
    from telemetry.scrape import serve_metrics

    try:
        server = serve_metrics(app.services.telemetry.registry, port)
    except OSError as error:
        raise CannotStart(f"--metrics-port {port}: {error.strerror}") from error
    note(f"metrics at http://127.0.0.1:{server.port}/metrics")
    return server
