"""`agent tools`: what each agent's tools are, as the model is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from agent.cli import documents
from agent.cli.common import AsJson, common
from agent.cli.failures import told
from agent.cli.terminal import out, safe

if TYPE_CHECKING:
    from rich.console import Console

    from agent.tools.registry import Registry
    from agent.tools.tool import Tool
    from agent.types import Json

EXAMPLES = """\
[bold]Examples[/bold]
  agent tools
  agent tools --json | jq '.agents[].tools[] | {name, repeat}'

repeat says whether a call that a dead process had begun may run again: never,
safe (yes), key (yes, with the same idempotency key).

[bold]JSON[/bold]
  agents [{agent tools [{name description module repeat timeout_seconds
  blocking schema}]}], schema being that of the arguments;
  or error {kind message exit_code problems}\
"""


def tools(context: typer.Context, as_json: AsJson = False) -> int:
    """List the tools of each agent: arguments, what may be repeated, time-outs, modules."""

    def work() -> int:
        from agent.config.load import load_config
        from agent.tools.registry import load_tools

        config = load_config(common(context).folder())
        registries = {name: load_tools(agent.tools, config.folder) for name, agent in config.agents.agents.items()}
        (_write if as_json else _show)(registries)
        return 0

    return told(as_json, work)


def _write(registries: Mapping[str, Registry]) -> None:
    agents: list[Json] = [
        {"agent": name, "tools": [_document(tool) for tool in registry.tools.values()]}
        for name, registry in registries.items()
    ]
    documents.write({"agents": agents})


def _document(tool: Tool) -> dict[str, Json]:
    return {
        "name": tool.name,
        "description": tool.description,
        "module": _module(tool),
        "repeat": tool.repeat,
        "timeout_seconds": tool.timeout,
        "blocking": tool.blocking,
        "schema": dict(tool.schema),
    }


def _show(registries: Mapping[str, Registry]) -> None:
    console = out()
    for name, registry in registries.items():
        console.print(f"agent {name}", style="bold")
        for tool in registry.tools.values():
            _show_one(console, tool)


def _show_one(console: Console, tool: Tool) -> None:
    from textwrap import indent, wrap

    console.print(f"  {tool.name}({_arguments(tool)})", soft_wrap=True)
    console.print(indent("\n".join(wrap(safe(tool.description), max(console.width - 6, 20))), " " * 6), soft_wrap=True)
    facts = f"repeat {tool.repeat} · timeout {tool.timeout:g} s · {_module(tool)}"
    console.print(f"      {facts}", style="dim", soft_wrap=True)


def _arguments(tool: Tool) -> str:
    properties = tool.schema.get("properties")
    return ", ".join(properties) if isinstance(properties, dict) else ""


def _module(tool: Tool) -> str:
    return str(getattr(tool.run, "__module__", "?"))
