"""What people see: text made safe for a terminal, money and times in words, and where they are printed."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns where nobody has a terminal: enough that no table has to break its lines."""

_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}


def safe(text: str) -> str:
    """What a model or a tool wrote, without control characters: they could rewrite the screen, or the clipboard."""
    return text.translate(_CONTROLS)


def out() -> Console:
    """Stdout: colours on a terminal only, no wrapping into it of what is piped."""
    return _console(stderr=False)


def err() -> Console:
    """Stderr: what is worth knowing and not part of the answer."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise  # as it came: Rich would end the process from wherever it is

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Quiet(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def note(text: str) -> None:
    """A dim line on stderr. That nobody reads it any more is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        err().print(safe(text), style="dim")


def usd(nano: int) -> str:
    """Nano-dollars for people."""
    if 0 < nano < 500:
        return "<$0.000001"
    return f"${nano / 1e9:,.6f}"


def seconds(micros: int | None) -> str:
    """A duration in microseconds for people; None: not over yet."""
    if micros is None:
        return "…"
    if micros < 999_500:
        return f"{micros / 1000:.0f} ms" if micros >= 10_000 else f"{micros / 1000:.1f} ms"
    return f"{micros / 1e6:.2f} s" if micros < 60_000_000 else f"{micros / 60e6:.1f} min"


def tokens(count: int | None) -> str:
    """A count for people; None: nobody knows."""
    return "?" if count is None else f"{count:,}"


def moment(micros: int) -> str:
    """Unix microseconds as local time for people."""
    from datetime import datetime

    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")
