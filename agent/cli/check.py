"""`agent check`: everything in `config/`, and what the environment adds to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from agent.cli import documents
from agent.cli.common import AsJson, Common, common
from agent.cli.failures import told
from agent.cli.terminal import out, safe

if TYPE_CHECKING:
    from agent.config.problems import Problem

EXAMPLES = """\
[bold]Examples[/bold]
  agent check
  agent --config staging/config check --json | jq -r '.problems[].key'

Errors keep the agent from starting (exit code 2); warnings and notes don't.

[bold]JSON[/bold]
  ok problems [{severity file line column key found expected}];
  or error {kind message exit_code problems}\
"""
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def check(context: typer.Context, as_json: AsJson = False) -> int:
    """Validate the configuration: file, line, key, what was found and what was expected.

    Nothing is called; tool modules are imported.
    """

    def work() -> int:
        from agent import check as checking

        folder = common(context).folder()
        problems = [*checking.check(folder, os.environ), *_of_the_environment(common(context))]
        ok = not any(problem.severity == "error" for problem in problems)
        if as_json:
            documents.write({"ok": ok, "problems": [documents.problem(problem) for problem in problems]})
        else:
            _show(problems, str(folder))
        return 0 if ok else 2

    return told(as_json, work)


def _of_the_environment(given: Common) -> Sequence[Problem]:
    from agent.config.problems import ConfigError
    from telemetry.exporters import refusals

    problems = [_of_a_variable(refusal) for refusal in dict.fromkeys(refusals(os.environ))]
    try:
        given.settings()
    except ConfigError as error:
        problems += error.problems
    return problems


def _of_a_variable(refusal: str) -> Problem:
    from agent.config.problems import Problem

    variable, _, rest = refusal.partition("=")
    found, _, expected = rest.partition(": expected ")
    return Problem("environment", None, None, variable, found, expected)


def _show(problems: Sequence[Problem], folder: str) -> None:
    console = out()
    for problem in problems:
        console.print(safe(str(problem)), style=_STYLES[problem.severity], soft_wrap=True)
    if not problems:
        console.print(f"{folder}: no problems")
