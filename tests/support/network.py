"""The network is closed but for loopback: what would leave the machine fails, and the test with it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class NetworkClosed(OSError):
    """Something in the test tried to leave the machine."""


@contextmanager
def closed_network() -> Iterator[list[str]]:
    """Yields the list of what was tried, which grows: code that swallows the error is found out all the same.

    Sees what goes through Python's sockets; subprocesses and gRPC's C core do not.
    """
    attempts: list[str] = []

    def refused(target: object) -> NetworkClosed:
        attempts.append(str(target))
        return NetworkClosed(f"the tests' network is closed: {target}")

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise refused(f"{address[0]}:{address[1]}")
            return connect(self, address)

        return call

    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_address(name) and not _is_local(name):
            raise refused(f"{name}:{port}")
        return look_up(host, port, *args, **kwargs)

    with (
        patch.object(socket.socket, "connect", guarded(socket.socket.connect)),
        patch.object(socket.socket, "connect_ex", guarded(socket.socket.connect_ex)),
        patch.object(socket, "getaddrinfo", getaddrinfo),
    ):
        yield attempts


def _is_local(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
