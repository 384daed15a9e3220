"""The HTTP client that is given to the SDK: aiohttp, and of httpx2 only the types that the SDK wants to see.

The SDK's own aiohttp client works too but costs a fifth more per call: it merges headers, cookies, redirects and
authentication flows, of which a JSON request to one fixed address has none. It also reports a server that hung up as a
connect time-out, so that nobody could tell whether the request had been sent. Only imported late: aiohttp is heavy.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import yarl

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes. An endless answer must not fill the memory."""

_LARGE_REQUEST = 1024 * 1024
"""Bytes from which aiohttp wants a body as a file, so that writing it does not hold up the event loop."""


_READ = {b"content-type", b"x-request-id"}
"""Headers of an answer that is no error."""


class AnswerTooLarge(httpx2.DecodingError):
    """More than LARGEST_ANSWER bytes have come."""


class Body(httpx2.AsyncByteStream):
    """An answer's body. `read` is a plain coroutine: an abandoned chain of generators would leave tasks behind."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self._left = LARGEST_ANSWER

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises httpx2.RequestError."""
        try:
            piece = await self._answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ReadError(str(error)) from error
        self._left -= len(piece)
        if self._left < 0:
            raise AnswerTooLarge(f"more than {LARGEST_ANSWER} bytes")
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    def close(self) -> None:
        self._answer.release()  # closes a connection whose body was not read to its end

    async def aclose(self) -> None:
        self.close()


class Post(httpx2.Request):
    """A POST whose headers say nothing of its body, so that others can share them: aiohttp adds its length."""

    def __init__(self, url: httpx2.URL, headers: httpx2.Headers, sent: Mapping[str, str], body: bytes) -> None:
        """`sent` are the same headers, as aiohttp takes them."""
        self.method = "POST"
        self.url = url
        self.headers = headers
        self.extensions = {}
        self.stream = httpx2.ByteStream(body)
        self.sent = sent
        self.body = body

    def with_body(self, body: bytes) -> Post:
        return Post(self.url, self.headers, self.sent, body)


class Transport(httpx2.AsyncBaseTransport):
    """POSTs to one address. Proxies as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. No cookies."""

    def __init__(self, url: httpx2.URL, connect_timeout: float) -> None:
        self._url = yarl.URL(str(url), encoded=True)
        self._tls = url.scheme == "https"
        self._proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
        self._limits = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ConnectError or ConnectTimeout exactly where the request was not sent, else ReadError."""
        assert isinstance(request, Post)
        body = request.body
        try:
            answer = await self._open().post(
                self._url,
                data=body if len(body) < _LARGE_REQUEST else io.BytesIO(body),
                headers=request.sent,
                allow_redirects=False,  # a redirect would carry the key elsewhere
                proxy=self._proxy,
                timeout=self._limits,
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except (aiohttp.ClientConnectorError, ValueError) as error:  # ValueError: a header that cannot be sent
            raise httpx2.ConnectError(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ReadError(str(error)) from error
        response = httpx2.Response(answer.status, headers=_headers(answer), stream=Body(answer), request=request)
        response.headers.encoding = "iso-8859-1"  # which fits whatever came; else httpx2 tries to find one
        return response

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context() if self._tls else True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},  # compressed, a small answer may be an endless one
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


def _headers(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """Of an answer those that are read: httpx2 takes every one apart, and a provider sends some twenty."""
    if answer.status < 300:
        return [pair for pair in answer.raw_headers if pair[0].lower() in _READ]
    # aiohttp decompresses the body; httpx2 must not do it again.
    return [pair for pair in answer.raw_headers if pair[0].lower() != b"content-encoding"]


class HttpClient(httpx2.AsyncClient):
    """httpx2's client without what it would add to each request; `build_request` and `send` are all the SDK calls."""

    def __init__(self, url: httpx2.URL, connect_timeout: float) -> None:
        self._target = url
        self._direct = Transport(url, connect_timeout)
        super().__init__(transport=self._direct, trust_env=False)

    def build_request(self, method: str, url: object, **given: Any) -> Post:
        headers = httpx2.Headers(given["headers"])
        return Post(self._target, headers, dict(headers.items()), given["content"])

    async def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:
        """The response, its body unread whatever `stream` says; an error's body is read, under the same time limits."""
        response = await self._direct.handle_async_request(request)
        if not response.is_success:
            await response.aread()
        return response
