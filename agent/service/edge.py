"""The outermost layer: who asks, errors as this API's, one log line and one measurement for each request."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.service import failures
from agent.service.auth import Doorkeeper
from agent.service.errors import ApiError
from telemetry.metrics import Metrics

log = logging.getLogger("agent.service")

_HOST = re.compile(r"(?P<name>\[[^\[\]]*\]|[^:\[\]]+)(:[0-9]*)?")

OPEN = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""Paths for which no key is needed."""


class Edge:
    """An ASGI middleware. `hosts`: the only names that are answered to; None for all."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, metrics: Metrics, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._metrics = metrics
        self._doorkeeper = doorkeeper
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Watched(send)
        began = time.perf_counter()
        try:
            await self._answer(scope, receive, response)
        except ClientDisconnect:
            pass
        finally:
            self._record(scope, response, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, response: _Watched) -> None:
        try:
            headers = Headers(scope=scope)
            scope["app"] = self  # so that the router raises what it can't find
            self._known_host(headers)
            if scope["path"] not in OPEN:
                client = scope.get("client")
                identity = await self._doorkeeper.let_in(headers, client[0] if client else "")
                scope.setdefault("state", {})["identity"] = identity
            await self._app(scope, receive, response)
        except ClientDisconnect:
            raise
        except HTTPException as error:
            await self._tell(_of_http(error), scope, receive, response)
        except Exception as error:  # noqa: BLE001 - the edge: every request gets an answer, and in one format
            await self._tell(failures.told(error), scope, receive, response)

    def _known_host(self, headers: Headers) -> None:
        """Without keys only names of this machine are answered to: else a web page could ask here under its own."""
        if self._hosts is None:
            return
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None or host["name"].lower() not in self._hosts:
            raise ApiError(
                403,
                "unknown_host",
                "Without keys this service answers to localhost only: agent keys new NAME makes one.",
            )

    async def _tell(self, error: ApiError, scope: Scope, receive: Receive, response: _Watched) -> None:
        if response.status is not None:
            return  # it is too late to say it
        body = Response(error.body(), error.status, dict(error.headers), "application/json")
        await body(scope, receive, response)

    def _record(self, scope: Scope, response: _Watched, seconds: float) -> None:
        """Never the path as it was sent: there may be anything in it."""
        found: Any = scope.get("route")
        route: str | None = getattr(found, "path", None)
        identity: Any = scope.get("state", {}).get("identity")
        failed = _error_type(scope, response)
        self._metrics.http_request(scope["method"], scope["scheme"], route, response.status, failed, seconds)
        log.info(
            "%s %s %s %.0f ms key=%s trace=%s",
            scope["method"],  # the parser knows no other methods than HTTP's
            route or "-",
            response.status or "gone",
            seconds * 1e3,
            identity.caller.key if identity else None,
            response.trace_id,
        )


def _error_type(scope: Scope, response: _Watched) -> str | None:
    """Why a request failed for reasons that are not its own, as the conventions have it: a status of 5xx, or what the
    status of an error would have been that came within a stream. None where it did not fail."""
    if not response.ended:
        return "client_disconnected"
    late: int | None = scope.get("state", {}).get("late_status")
    status = late or response.status
    return str(status) if late or (status or 0) >= 500 else None


class _Watched:
    """Remembers the status that was sent, and whether all was."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.ended = False
        self.status: int | None = None
        self.trace_id: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.trace_id = Headers(raw=message["headers"]).get("x-trace-id")
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended = True
        await self._send(message)


def _of_http(error: HTTPException) -> ApiError:
    """What the router says."""
    if error.status_code == 405:
        return ApiError(405, "method_not_allowed", "This method is not for this path.", headers=error.headers)
    return ApiError(404, "not_found", "There is nothing at this path; agents are asked at POST /v1/chat/completions.")
