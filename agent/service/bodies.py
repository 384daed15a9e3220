"""Reads the body of a request, within a size. How long it may take is the protocol's business."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from agent.service.errors import ApiError

LINGERING = 1.0
"""Seconds in which a body that is too large is read and dropped: who still sends when its connection is closed may
never see why."""


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The bytes. Raises `ApiError` (413) and Starlette's `ClientDisconnect`."""
    stated = headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        if "expect" not in headers:  # asked for its body, the client would send it
            await _drop(receive)
        raise _too_large(limit)
    body = bytearray()
    while True:
        more, piece = await _piece(receive)
        body += piece
        if len(body) > limit:
            body.clear()
            if more:
                await _drop(receive)
            raise _too_large(limit)
        if not more:
            return bytes(body)


async def _piece(receive: Receive) -> tuple[bool, bytes]:
    """Whether there is more, and the next piece."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return bool(message.get("more_body")), message.get("body", b"")


async def _drop(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGERING):
            while (await _piece(receive))[0]:
                pass


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "request_too_large", f"The body exceeds {limit:,} bytes.", headers={"connection": "close"})
