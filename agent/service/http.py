"""The HTTP server of a worker: uvicorn, on a socket that is open already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from agent.service.protocol import BoundedProtocol, Limits, SilentServer, bounded

CONNECTIONS_END = 2
"""Seconds that clients get to read what was sent to them before their connections are closed."""

DEFAULT_LIMITS = Limits()

_LOOK = 0.01


class Door:
    """Where clients come in."""

    def __init__(self, server: SilentServer) -> None:
        self._server = server

    def close(self) -> None:
        """Nobody comes in any more. Who has been answered is sent out, the others once they are: whoever has just come
        in may have a request on its way."""
        for each in self._server.servers:
            each.close()
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, BoundedProtocol) and connection.cycle is not None:
                connection.shutdown()


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, bound: socket.socket, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[Door]:
    """Serves until the end of the block, and then until clients have read what was sent to them."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what goes wrong in a request is logged at its edge
    server = SilentServer(
        uvicorn.Config(
            app,
            http=bounded(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            reset_contextvars=True,
            backlog=2048,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=CONNECTIONS_END,
        )
    )
    serving = asyncio.create_task(server.serve([bound]))
    try:
        while not server.started:
            await asyncio.wait([serving], timeout=_LOOK)  # it sets a flag and tells nobody
            if serving.done():
                break
        yield Door(server)
    finally:
        server.should_exit = True
        await serving
