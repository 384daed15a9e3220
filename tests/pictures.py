"""Draws the pictures of the README from this program itself: `python -m tests.pictures`.

A command runs in a terminal of its own, with a store of its own, and what it printed becomes an SVG.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 108
FOLDER = Path("dashboards/pictures")
QUESTION = "I'm user U-123 and my laptop will not connect to wifi."
COMMANDS = {"demo": ["ask", "--trace", QUESTION]}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, arguments in COMMANDS.items():
        screen = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115 - the process ends
        shown = " ".join(f'"{word}"' if " " in word else word for word in ["agent", *arguments])
        screen.print(Text(f"$ {shown}", style="bold"))
        screen.print(Text.from_ansi(_run(arguments)))
        drawing = screen.export_svg(title=f"agent {arguments[0]}")
        # A picture downloads nothing: any monospaced font will do.
        (FOLDER / f"{name}.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL))


def _run(arguments: list[str]) -> str:
    """What a command prints to a terminal of `COLUMNS` columns."""
    said: list[bytes] = []

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        said.append(data)
        return data

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "AGENT_STORE": f"sqlite:///{folder}/store.db"}
        os.environ.pop("OPENAI_API_KEY", None)
        pty.spawn([sys.executable, "-m", "agent", *arguments], read)
    return b"".join(said).decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
