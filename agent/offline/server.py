"""The stand-in model as an HTTP server: Chat Completions, its access log, its faults and its gates."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from agent.offline.control import Control
from agent.offline.faults import Fault, Script
from agent.offline.gates import Gate, Gates
from agent.offline.log import AccessLog
from agent.offline.play import play
from agent.offline.protocol import error
from agent.offline.request import Asked, BadRequest, read
from agent.offline.sending import Sending
from agent.offline.wire import Wire, of_body
from agent.types import STAND_IN

DEFAULT_MODEL = "offline-helpdesk"
LARGEST_REQUEST = 64 * 1024 * 1024
SHUTDOWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds before the first byte of every reply, and before each of its pieces."""

    first_byte: float = 0.0
    chunk: float = 0.0


class OfflineModel:
    """`async with OfflineModel() as server:` — then `server.base_url` is what an OpenAI client wants.

    Port 0 takes a free one. `log_file` gets the access log as JSON lines. `dated` is appended to the model's name in
    every reply, as providers answer with dated aliases. Raises ValueError for a host that isn't loopback, unless
    `allow_remote`: this server has no authentication.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        pace: Pace | None = None,
        log_file: Path | None = None,
        dated: str = "",
        allow_remote: bool = False,
    ) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ValueError(f"the stand-in listens on loopback only, not on {host!r}: it has no authentication")
        self.log = AccessLog(log_file)
        self.faults = Script()
        self.gates = Gates()
        self._host, self._port = host, port
        self._pace = pace or Pace()
        self._dated = dated
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, once started."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """Where `/requests`, `/faults` and `/gates` are."""
        if self._runner is None:
            raise RuntimeError("the offline model is not started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._runner.addresses[0][1]}"

    def faulty_url(self, fault: str) -> str:
        """A base URL on which every request gets this fault (`status:429;retry-after=2`)."""
        Fault.parse(fault)
        return f"{self.root_url}/fault/{fault}/v1"

    def gate(self, after: int | None = None) -> Gate:
        """The next chat request waits here: before its headers, or after so many pieces of the reply."""
        gate = self.gates.named(self.gates.unused_name())
        self.faults.push(Fault("gate", gate.name if after is None else f"{gate.name}@{after}"))
        return gate

    @staticmethod
    @contextmanager
    def in_thread(port: int = 0, *, pace: Pace | None = None, log_file: Path | None = None) -> Iterator[OfflineModel]:
        """The same in a thread and loop of its own, for callers without a loop."""
        from anyio.from_thread import start_blocking_portal

        with (
            start_blocking_portal(name="offline-model") as portal,
            portal.wrap_async_context_manager(OfflineModel(port, pace=pace, log_file=log_file)) as server,
        ):
            yield server

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.add_routes(self._routes())
        # Without handler_cancellation a stalled reply would not notice that its client has left.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, self._host, self._port, backlog=1024).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self.log.close()

    def _routes(self) -> list[web.RouteDef]:
        routes = Control(self.log, self.faults, self.gates).routes()
        for prefix in ("", "/fault/{fault}"):
            routes.append(web.post(f"{prefix}/v1/chat/completions", self._chat))
            routes.append(web.get(f"{prefix}/v1/models", self._models))
        return [*routes, web.route("*", "/{anything:.*}", self._not_found)]

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            asked, fault = read(await request.read()), self._fault(request)
        except BadRequest as bad:
            return await self._plain(
                request, of_body(error(bad.message, "invalid_request_error", None, bad.param), 400)
            )
        except web.HTTPRequestEntityTooLarge:
            return await self._plain(request, of_body(error("Request too large.", "invalid_request_error"), 413))
        return await self._reply(request, asked, fault)

    def _fault(self, request: web.Request) -> Fault | None:
        """A path's own fault; the script is for the requests on the plain path."""
        written = request.match_info.get("fault")
        if written is None:
            return self.faults.take()
        try:
            return Fault.parse(written)
        except ValueError as problem:
            raise BadRequest(str(problem)) from problem

    async def _reply(self, request: web.Request, asked: Asked, fault: Fault | None) -> web.StreamResponse:
        name = None if fault is None else fault.name
        access = self.log.arrived(request.path, asked, name, request.headers.get("idempotency-key"))
        wire, output = play(asked, fault, asked.model + self._dated, access.number)
        sending = Sending(request, wire, self.gates, {"x-request-id": f"req-offline-{access.number}"})
        try:
            return await sending.run(self._pace.first_byte, self._pace.chunk)
        except ConnectionError:
            return web.Response()  # for nobody: the client has left, which aiohttp would log as a failure of ours
        finally:
            self.log.ended(access, sending.state, wire.status, sending.pieces, output)

    async def _plain(self, request: web.Request, wire: Wire) -> web.StreamResponse:
        access = self.log.arrived(request.path, None, None, request.headers.get("idempotency-key"))
        sending = Sending(request, wire, self.gates, {"x-request-id": f"req-offline-{access.number}"})
        try:
            return await sending.run(0.0, 0.0)
        finally:
            self.log.ended(access, sending.state, wire.status, sending.pieces, None)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        listed = {"id": DEFAULT_MODEL, "object": "model", "created": 0, "owned_by": STAND_IN}
        return await self._plain(request, of_body({"object": "list", "data": [listed]}))

    async def _not_found(self, request: web.Request) -> web.StreamResponse:
        message = f"Unknown request URL: {request.method} {request.path}."
        return await self._plain(request, of_body(error(message, "invalid_request_error", "unknown_url"), 404))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
