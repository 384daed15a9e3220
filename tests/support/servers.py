"""Loopback addresses and the programs that tests need."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

LOOPBACK = "127.0.0.1"


def require(binary: str) -> str:
    """The path of an installed program. Without it the test is skipped, but fails where `CI=true` promised it."""
    path = shutil.which(binary)
    if path is not None:
        return path
    reason = f"the program {binary!r} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port at which connections are refused, kept from everybody else meanwhile: bound, never listening."""
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        port: int = closed.getsockname()[1]
        yield port
