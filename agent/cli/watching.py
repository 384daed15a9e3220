"""A turn as it runs, for people: the answer on stdout piece by piece, what else happens as dim lines on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import streams
from agent.cli.terminal import note, safe

if TYPE_CHECKING:
    from agent.types import Event, TurnResult

ARGUMENTS_SHOWN = 100


class Watching:
    """An `Emit`. Raises BrokenPipeError once nobody reads stdout."""

    def __init__(self) -> None:
        self._shown = ""

    async def __call__(self, event: Event) -> None:
        from agent.types import Retrying, TextDelta, ToolFinished, ToolStarted

        match event:
            case TextDelta(text):
                self._write(text)
            case ToolStarted(call):
                self._note(f"{call.name} {_short(call.arguments)}")
            case ToolFinished(result) if result.error_type:
                self._note(f"{result.call.name} failed: {result.error_type}")
            case Retrying(error_type, delay, None):
                self._note(f"{error_type}: trying again in {delay:.1f} s")
            case Retrying(error_type, _, model):
                self._note(f"{error_type}: asking {model} instead")

    def end(self, result: TurnResult) -> None:
        """What is still missing of the answer: all of it where it was not streamed."""
        if result.text and not self._shown.endswith(result.text):
            self._new_line()
            self._write(result.text)
        self._new_line()

    def interrupted(self) -> None:
        self._new_line()

    def _write(self, text: str) -> None:
        self._shown += text
        stream = streams.stdout()
        stream.write(safe(text))
        stream.flush()

    def _note(self, text: str) -> None:
        self._new_line()
        note(f"  {text}")

    def _new_line(self) -> None:
        if self._shown and not self._shown.endswith("\n"):
            self._write("\n")


def _short(arguments: str) -> str:
    one_line = " ".join(arguments.split())
    return one_line if len(one_line) <= ARGUMENTS_SHOWN else one_line[:ARGUMENTS_SHOWN] + "…"
