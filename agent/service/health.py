"""`/healthz`: the process answers. `/readyz`: it takes turns."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agent.service.service import Service


class Health:
    """The endpoints; they need no key and say nothing about anybody."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def alive(self, request: Request) -> Response:
        return _answer(200, "ok")

    async def ready(self, request: Request) -> Response:
        if self._service.draining:
            return _answer(503, "draining")
        if not self._service.app.services.pulse.good():
            return _answer(503, "the store was not reached in time")
        return _answer(200, "ready")


def _answer(status: int, text: str) -> Response:
    return Response(orjson.dumps({"status": text}), status, media_type="application/json")
