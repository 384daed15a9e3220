"""Bytes as they are, to and from a server: what no HTTP client would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from agent.types import Json

PATIENCE = 6.0
"""Seconds within which the server must have closed a connection, whatever was sent on it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """All that came until the server closed the connection."""

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def code(self) -> Json:
        """Of the error in the last answer."""
        document = json.loads(self.data.rpartition(b"\r\n\r\n")[2])
        code: Json = document["error"]["code"]
        return code


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def sent(port: int, *pieces: bytes, pause: float = 0.0, half_close: bool = False) -> Heard:
    """Sends pieces, with pauses, until the server closes; what it said."""
    async with asyncio.timeout(PATIENCE), connected(port) as (reader, writer):
        sending = asyncio.create_task(_send(writer, pieces, pause, half_close))
        heard = await _all(reader)
        sending.cancel()
        await asyncio.wait([sending])
    return Heard(heard)


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[bytes], pause: float, half_close: bool) -> None:
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if half_close:
            writer.write_eof()


async def _all(reader: asyncio.StreamReader) -> bytes:
    heard = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            heard += piece
    return bytes(heard)


def request(body: bytes, *headers: str, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    """A request that the server answers and then closes the connection."""
    told = ["host: localhost", "content-type: application/json", f"content-length: {len(body)}", "connection: close"]
    return head(line, *told, *headers) + body


def head(line: str, *headers: str) -> bytes:
    return "".join(f"{each}\r\n" for each in (line, *headers, "")).encode("latin-1")
