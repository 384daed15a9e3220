"""The tools of the turns that are killed and frozen. Each run begins with a line in `runs` in the configuration's
folder; where there is a pipe of the tool's name in that folder, it then waits at it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from agent.cli import streams
from agent.tools.tool import Tool, tool

RUNS = "runs"


def say(text: str) -> None:
    """To whoever reads this process's stdout, at once and whole, from any thread."""
    os.write(streams.stdout().fileno(), f"{text}\n".encode())


def tools(config: Path) -> list[Tool]:
    @tool
    def order_part(name: str) -> str:
        """Orders a spare part.

        Args:
            name: Which part.
        """
        _run(config, "order_part", None)
        return f"The {name} is ordered."

    @tool(repeat="key")
    def open_ticket(summary: str, *, idempotency_key: str) -> str:
        """Opens a ticket.

        Args:
            summary: What is wrong.
        """
        _run(config, "open_ticket", idempotency_key)
        return f"There is a ticket now: {summary}."

    return [order_part, open_ticket]


def _run(config: Path, name: str, key: str | None) -> None:
    line = json.dumps({"tool": name, "key": key, "process": os.getpid()}) + "\n"
    with (config / RUNS).open("a") as file:  # one write in append mode: whole, whoever else writes
        file.write(line)
    pipe = config / name
    if pipe.exists():
        say(f"in {name}")
        pipe.read_bytes()
