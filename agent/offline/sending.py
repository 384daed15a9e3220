"""Sends a wire to a client: pieces at their pace, and every way in which a connection may end."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict

from agent.offline.gates import Gates
from agent.offline.log import State
from agent.offline.wire import Stop, Wire
from agent.types import STAND_IN

LABEL = {"x-offline-model": "true", "server": STAND_IN}
_AT_ONCE = struct.pack("ii", 1, 0)


class Sending:
    """One reply on its way: `state` and `pieces` say how far it came, whatever ended it."""

    def __init__(self, request: web.Request, wire: Wire, gates: Gates, headers: Mapping[str, str]) -> None:
        self._request = request
        self._wire = wire
        self._gates = gates
        self._headers = headers
        self.state: State = "aborted"
        self.pieces = 0

    async def run(self, wait_first: float, wait_each: float) -> web.StreamResponse:
        """Waits in seconds, added to those of the wire. A client that left is a ConnectionError or a cancellation."""
        wire = self._wire
        await _wait(wait_first + wire.wait_first)
        response = self._response()
        if await self._stopped(before=None):
            return response
        await response.prepare(self._request)
        if await self._send(response, wait_each + wire.wait_each):
            await response.write_eof()
            self.state = "finished"
        return response

    def _response(self) -> web.StreamResponse:
        wire = self._wire
        headers = CIMultiDict({**LABEL, **self._headers, "content-type": wire.content_type, **wire.headers})
        response = web.StreamResponse(status=wire.status, headers=headers)
        if wire.stream:
            response.enable_chunked_encoding()
        else:
            response.content_length = sum(map(len, wire.pieces))
        return response

    async def _send(self, response: web.StreamResponse, wait: float) -> bool:
        """All pieces; those between two waits in one write. False when we broke off."""
        stop = self._wire.stop
        middle = stop.after if stop and stop.after is not None else None
        for first, last in _runs(len(self._wire.pieces), middle, wait):
            if first == middle and await self._stopped(before=first):
                return False
            await _wait(wait)
            await response.write(b"".join(self._wire.pieces[first:last]))
            self.pieces = last
        # A gate after the last piece holds the end of the reply back.
        return not (middle is not None and middle >= self.pieces and await self._stopped(before=middle))

    async def _stopped(self, before: int | None) -> bool:
        """Plays the wire's stop if it is here: True if nothing more is to be sent."""
        stop = self._wire.stop
        if stop is None or stop.after != before:
            return False
        if stop.how == "gate":
            await self._gates.named(stop.gate).passed()
            return False
        if stop.how == "stall":
            await asyncio.get_running_loop().create_future()
        self._break_off(stop)
        return True

    def _break_off(self, stop: Stop) -> None:
        """`cut` closes after what was written; `reset` makes the kernel answer with RST."""
        self.state = "cut"
        transport = self._request.transport
        if transport is None:
            return
        if stop.how == "reset":
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            transport.abort()
        else:
            transport.close()


def _runs(pieces: int, middle: int | None, wait: float) -> list[tuple[int, int]]:
    """What may be written at once: each piece under a wait, else all up to the stop, and all from it."""
    if wait > 0:
        return [(piece, piece + 1) for piece in range(pieces)]
    if middle is None or not 0 < middle < pieces:
        return [(0, pieces)]
    return [(0, middle), (middle, pieces)]


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
