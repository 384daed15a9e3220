"""What can stop a command, told to whoever must act: a message, an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.cli import streams
from agent.cli.documents import write

if TYPE_CHECKING:
    from agent.config.problems import Problem
    from agent.types import Json

Kind = Literal["usage", "configuration", "caller", "store", "taken_over", "interrupted", "terminated", "output"]
"""`usage`: what was typed. `configuration`: `config/` or the environment. `caller`: what was asked for can't be had.
`taken_over`: another process goes on with the turn. `output`: there is no room for what was to be written."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CannotStart(Exception):
    """Something outside of `config/` is not as it must be: the environment, a port, the store's file."""


class Mistyped(Exception):
    """An argument names something that isn't there."""


class Stopped(Exception):
    """A signal asked this process to end; what was under way has been ended. `so_far` is what would have been the
    command's document."""

    def __init__(self, number: signal.Signals, so_far: Mapping[str, Json] | None = None) -> None:
        super().__init__(f"stopped by {number.name}")
        self.number = number
        self.so_far = so_far


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command ended. `problems` are those of the configuration, `so_far` is said beside the error."""

    kind: Kind
    message: str
    exit_code: int
    problems: Sequence[Problem] = ()
    so_far: Mapping[str, Json] | None = None

    def document(self) -> dict[str, Json]:
        from agent.cli.documents import problem

        return {
            **(self.so_far or {}),
            "error": {
                "kind": self.kind,
                "message": self.message,
                "exit_code": self.exit_code,
                "problems": [problem(each) for each in self.problems],
            },
        }


def told(as_json: bool, command: Callable[[], int]) -> int:
    """The edge of every command: its exit code. What nobody but a developer can put right goes through as it is, and
    so does a broken pipe: Typer ends the process quietly, with exit code 1."""
    with streams.stdout_kept():
        try:
            return command()
        except BaseException as error:
            failure = failure_of(error)
            if failure is None:
                raise
            show(failure, as_json and failure.kind != "output")
            return failure.exit_code


def failure_of(error: BaseException) -> Failure | None:
    """None for what is a defect of this program."""
    from agent.config.problems import ConfigError

    if isinstance(error, ConfigError):
        return Failure("configuration", str(error), 2, error.problems)
    if isinstance(error, Mistyped):
        return Failure("usage", str(error), 2)
    if isinstance(error, CannotStart):
        return Failure("configuration", str(error), 2)
    if isinstance(error, KeyboardInterrupt):
        error = Stopped(signal.SIGINT)
    if isinstance(error, Stopped):
        kind: Kind = "interrupted" if error.number == signal.SIGINT else "terminated"
        return Failure(kind, str(error), 128 + error.number, so_far=error.so_far)
    if isinstance(error, OSError) and error.errno in _FULL:
        return Failure("output", f"what was to be written could not be: {error.strerror}", 1)
    return _of_the_agent(error)


def _of_the_agent(error: BaseException) -> Failure | None:
    from agent.journal import TakenOver
    from agent.opening import CallerError
    from agent.prompts.templates import PromptError
    from agent.store.errors import NoStore, StoreError, StoreNewer
    from agent.tools.registry import ToolModuleError
    from telemetry.pricing import PricingError

    if isinstance(error, PromptError | ToolModuleError | PricingError | StoreNewer | NoStore):
        return Failure("configuration", str(error), 2)
    if isinstance(error, CallerError):
        return Failure("caller", str(error), 2)
    if isinstance(error, TakenOver):
        return Failure("taken_over", "another process has taken this turn over and goes on with it", 1)
    if isinstance(error, StoreError):
        return Failure("store", str(error), 1)
    return None


def show(failure: Failure, as_json: bool) -> None:
    with contextlib.suppress(BrokenPipeError):
        if as_json:
            write(failure.document())
            return
        from agent.cli.terminal import err, safe

        if failure.message:
            err().print(safe(failure.message), style="red", soft_wrap=True)
