"""Stdin and stdout are this program's own: what a tool prints goes to stderr, and what it asks for isn't there.

On a terminal stdout is left as it is: there it makes no difference, and a prompt needs it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_kept: list[TextIO] = []


def stdout() -> TextIO:
    """Where answers and documents are written."""
    return _kept[-1] if _kept else sys.stdout


def complete() -> None:
    """Opens in place of streams that are closed one that is empty and takes everything: nothing else that is opened
    may get their numbers. A character that a stream lacks is no reason to fail."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            if _is_closed(number):
                os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, and those below are not
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def stdout_kept() -> Iterator[None]:
    """Within, `stdout()` is what it was, and `sys.stdout` and its descriptor are those of stderr."""
    ours = sys.stdout
    if ours.isatty():
        yield
        return
    with contextlib.ExitStack() as stack:
        if _number(ours) == 1:
            ours = stack.enter_context(_moved(ours))
        _kept.append(ours)
        stack.callback(_kept.pop)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


@contextlib.contextmanager
def stdin_withheld() -> Iterator[None]:
    """Within, `sys.stdin` is empty, and its descriptor too unless it is a terminal."""
    ours = sys.stdin
    with contextlib.ExitStack() as stack:
        if _number(ours) == 0 and not ours.isatty():
            stack.enter_context(_descriptor(0, os.open(os.devnull, os.O_RDONLY)))
        sys.stdin = stack.enter_context(open(os.devnull))
        try:
            yield
        finally:
            sys.stdin = ours


@contextlib.contextmanager
def _moved(stream: TextIO) -> Iterator[TextIO]:
    """`stream` on a descriptor of its own, while number 1 is that of stderr."""
    stream.flush()
    ours = open(os.dup(1), "w", encoding=stream.encoding, errors="replace")  # noqa: SIM115
    try:
        with _descriptor(1, os.dup(2)):
            yield ours
    finally:
        with contextlib.suppress(OSError):  # what could not be written was told when it was tried
            ours.close()


@contextlib.contextmanager
def _descriptor(number: int, instead: int) -> Iterator[None]:
    """`number` stands for the file `instead`, which is taken over."""
    before = os.dup(number)
    os.dup2(instead, number)
    os.close(instead)
    try:
        yield
    finally:
        os.dup2(before, number)
        os.close(before)


def _number(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
