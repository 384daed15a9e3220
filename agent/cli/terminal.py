"""What people see: text made safe for a terminal, money and times in words, and where they are printed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import IO, TYPE_CHECKING, Literal, TextIO, cast

from agent.cli import streams

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 200
"""Columns where nobody has a terminal: enough that no table has to break its lines."""

_DIRECTIONS = [0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
"""What turns the order of letters around, or breaks lines where none is to be seen."""

_CONTROLS = dict.fromkeys([*range(32), *range(127, 160), *_DIRECTIONS], "\N{REPLACEMENT CHARACTER}") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): None,
}


def safe(text: str) -> str:
    """What a model or a tool wrote, without control characters: they could rewrite the screen, or the clipboard."""
    return text.translate(_CONTROLS)


class Unpadded:
    """A stream that nobody looks at: Rich fills lines with blanks, which are cut off again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding
        self.flush = stream.flush

    def write(self, text: str) -> int:
        return self._stream.write(re.sub(r" +$", "", text, flags=re.MULTILINE))


def out() -> Console:
    """Stdout: colours on a terminal only, no wrapping into it of what is piped."""
    return _console(streams.stdout())


def err() -> Console:
    """Stderr: what is worth knowing and not part of the answer."""
    return _console(sys.stderr)


def show_table(console: Console, table: Table) -> None:
    """With all that must not be broken or cut off, where the terminal is too narrow for it, too."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(map(cell_len, map(str, (column.header, *column.cells))))
    wide = console.options.update(max_width=PIPED_WIDTH)
    console.width = max(console.width, Measurement.get(console, wide, table).minimum)
    console.print(table, crop=False)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise  # as it came: Rich would end the process from wherever it is

    if stream.isatty():
        colours: Literal["auto"] | None = "auto" if os.environ.get("TERM") else None
        return Quiet(file=stream, highlight=False, markup=False, emoji=False, color_system=colours)
    return Quiet(file=cast("IO[str]", Unpadded(stream)), highlight=False, markup=False, emoji=False, width=PIPED_WIDTH)


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
