"""The commands put together. What is heavy is imported inside them, so that help is there at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from agent import __version__
from agent.cli import ask, chat, check, conversations, keys, models, offline_model, resume, serve, tools, trace
from agent.cli.common import Common
from agent.cli.failures import Failure, show

EXIT_CODES = """\
[bold]Exit codes[/bold]
  0    answered, or done
  1    ended without an answer: a limit, a refusal, the provider down
  2    usage or configuration; the message says what to put right
  130  Ctrl-C, 143 SIGTERM: the turn under way is ended and paid for first

[bold]Environment[/bold]
  OPENAI_API_KEY   for a real model; without it the offline stand-in answers
  OPENAI_BASE_URL  any compatible endpoint
  AGENT_CONFIG     the configuration's folder, in place of ./config
  AGENT_STORE      sqlite:///PATH of the store, in place of ./.agent/store.db
  OTEL_*           where traces, metrics and logs go\
"""

app = typer.Typer(
    name="agent",
    help="Ask the agent, see what it did, and operate it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (ask.ask, chat.chat, serve.serve, resume.resume, trace.trace, check.check, models.models, tools.tools):
    app.command(epilog=sys.modules[command.__module__].EXAMPLES)(command)
app.command("offline-model", epilog=offline_model.EXAMPLES)(offline_model.offline_model)
app.add_typer(conversations.app)
app.add_typer(keys.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agent {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", envvar="AGENT_CONFIG", metavar="DIR", help="The configuration's folder.")
    ] = Path("config"),
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option("--log-level", help="Log lines from this level on go to stderr, as JSON."),
    ] = "warning",
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    context.obj = Common(config, log_level)


def _hint(arguments: Sequence[str], message: str) -> str:
    """What goes wrong with the options of all commands, and with questions that a shell has taken apart."""
    if message in ("No such option: --config", "No such option: --log-level"):
        return ". Put it before the command"
    if "ask" not in arguments:
        return ""
    if "unexpected extra argument" in message:
        return '. Put the question in quotes: agent ask "…"'
    return (
        '. Before a question that begins with a dash, put --: agent ask -- "- …"' if "No such option" in message else ""
    )


def run(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code."""
    try:
        code = app(list(arguments), prog_name="agent", standalone_mode=False)
    except typer.TyperException as error:
        error.message += _hint(arguments, error.format_message())
        if "--json" in arguments:
            show(Failure("usage", error.format_message(), error.exit_code), as_json=True)
        else:
            from typer.rich_utils import rich_format_error

            rich_format_error(error)  # type: ignore[arg-type]
        return error.exit_code
    return int(code or 0)
