"""uvicorn's HTTP protocol with bounds on what a client may send, and how slowly.

uvicorn bounds neither the size of a head (request line, header fields, trailers) nor the time that a request takes to
arrive, and it waits for ever for a client that does not read what it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import httptools
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

from agent.service.errors import ApiError

_FRAMING = 16
"""Bytes of framing that a chunked body may have for each byte of content, beside what a head may have."""

_AHEAD = 16
"""Requests that a client may send before it has the answer to the one under way: one read from a socket holds thousands
of small ones, and each takes more memory than its bytes."""

_OFFER = frozenset({b"upgrade", b"connection", b"http2-settings"})
"""Fields in which a client offers another protocol, or says what to do with those."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`head_seconds`: for the whole head, from its first byte or, on a new connection, from its start; `body_seconds`:
    for the whole body; `idle_seconds`: how long a connection is kept without a request, and how long a client may
    leave the end of an answer unread; `unread_seconds`: how long it may read nothing of an answer that goes on."""

    head_bytes: int = 32_768
    head_fields: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: int = 15
    unread_seconds: float = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections that send too much of a head, or take too long for a request."""

    limits: ClassVar = Limits()
    _alarm: asyncio.TimerHandle | None = None
    _in_head = False
    _framing = 0
    _content = 0
    _fields = 0
    _without_offer = b""
    _unread: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wind(self.limits.head_seconds, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwind()
        if self._answered:  # uvicorn tells only the last request that came, which may still be in line
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._framing += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser takes what follows for the other protocol; nobody speaks it, so it is this request's body.
            if self.transport.is_closing():
                return
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(self._without_offer + data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._framing > self.limits.head_bytes + _FRAMING * self._content:
            self._refuse(_too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.transport.is_closing():
            return
        self._in_head, self._fields, self._content = True, 0, 0
        self._wind(self.limits.head_seconds, self._late)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > self.limits.head_fields:
            self._refuse(_too_large())
        elif self._in_head:  # else a trailer: what comes after the body is used for nothing
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.transport.is_closing():
            return
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.limits.head_bytes:
            self._refuse(_too_large())
            return
        if self.parser.get_http_version() not in ("1.0", "1.1") or self.parser.get_method() == b"CONNECT":
            self.send_400_response("This is no request of HTTP/1.1 to a server.")
            return
        if len(self.pipeline) >= _AHEAD:
            self._close()
            return
        if self.parser.should_upgrade():
            self._without_offer = self._head()
            return
        super().on_headers_complete()
        self._framing = 0
        self._wind(self.limits.body_seconds, self._late)

    def on_body(self, body: bytes) -> None:
        if self.transport.is_closing():
            return
        self._framing -= len(body)
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.transport.is_closing() or self.parser.should_upgrade():
            return
        self._framing = 0
        self._unwind()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._wind(self.limits.idle_seconds, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """What the client has not read by now it never will."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self._refuse(ApiError(400, "invalid_http", msg))

    def _head(self) -> bytes:
        """The head that was just read, without the offer of another protocol."""
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        lines += [name + b": " + value for name, value in self.headers if name not in _OFFER]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _late(self) -> None:
        if self.pipeline or (self._in_head and self._answering()):  # the next request has time until this is answered
            self._wind(self.limits.head_seconds, self._late)
            return
        self._refuse(ApiError(408, "request_timeout", "The request took too long to arrive."))

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wind(self, seconds: float, then: Callable[[], object]) -> None:
        self._unwind()
        self._alarm = self.loop.call_later(seconds, then)

    def _unwind(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _refuse(self, error: ApiError) -> None:
        """Says so where no answer is under way that it would get mixed up with, and closes the connection."""
        if self.transport.is_closing():
            return
        if not self._answering() or not (self._in_head or self.pipeline or self.cycle.response_started):
            body = error.body()
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[error.status] + head + body)
        self._close()

    def _close(self) -> None:
        """Once what is written has been read, which takes so long at most."""
        self.transport.close()
        self._wind(self.limits.idle_seconds, self.transport.abort)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        self._answered = cycle
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]


def _too_large() -> ApiError:
    return ApiError(431, "request_head_too_large", "The request's head is too large.")


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """The protocol with other limits: uvicorn wants a class."""
    members: dict[str, Any] = {"limits": limits}
    return type("BoundedProtocol", (BoundedProtocol,), members)


class SilentServer(Server):
    """uvicorn's server, which leaves signals to the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
