"""`agent`: where the program begins. The commands are imported within, where Ctrl-C is already expected."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, by default that of the command line; its exit code."""
    try:
        from agent.cli import streams

        streams.complete()
        from agent.cli import program

        return program.run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
