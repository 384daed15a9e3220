"""Lines that somebody types, or pipes in, while the event loop runs on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from types import TracebackType
from typing import Self

from agent.cli import streams

PROMPT = "you> "


class Lines:
    """Reads stdin. Nothing can interrupt a read from a terminal, so each has a thread that keeps nobody from ending;
    the terminal is left as it was found. Made before `streams.stdin_withheld` is entered: tools get nothing of it."""

    def __init__(self) -> None:
        self.typed = sys.stdin.isatty() and streams.stdout().isatty()
        # Unbuffered: a thread that is left behind in a buffered read would hold its lock, and the exit fails on that.
        self._piped = open(os.dup(sys.stdin.fileno()), "rb", buffering=0)  # noqa: SIM115
        self._stdin = sys.stdin
        self._terminal: list[object] | None = None

    def __enter__(self) -> Self:
        if self.typed:
            import termios

            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  gives `input` its editing keys
            self._terminal = termios.tcgetattr(sys.stdin.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._terminal)  # type: ignore[arg-type]

    async def next(self) -> str | None:
        """The next line, None at the end of the input."""
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str | None] = loop.create_future()

        def deliver(text: str | None) -> None:
            if not line.done():
                line.set_result(text)

        def read() -> None:
            text = self._read()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(deliver, text)

        threading.Thread(target=read, name="stdin", daemon=True).start()
        return await line

    def _read(self) -> str | None:
        if not self.typed:
            return self._piped.readline().decode(errors="replace") or None
        withheld, sys.stdin = sys.stdin, self._stdin
        try:
            return input(PROMPT)
        except EOFError:
            return None
        finally:
            sys.stdin = withheld
