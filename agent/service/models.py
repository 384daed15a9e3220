"""`GET /v1/models`: the agents that whoever asks may ask."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agent.service.auth import Identity
from agent.service.service import Service
from agent.service.wanted import allow_agent
from agent.types import Json


class Models:
    """The endpoints: all of them, or one by its name."""

    def __init__(self, service: Service, created: int) -> None:
        self._service = service
        self._created = created

    async def list(self, request: Request) -> Response:
        identity: Identity = request.state.identity
        there = [self._model(name) for name in sorted(self._service.app.agents) if identity.may_ask(name)]
        return Response(orjson.dumps({"object": "list", "data": there}), media_type="application/json")

    async def one(self, request: Request) -> Response:
        name = request.path_params["model"]
        allow_agent(self._service, request.state.identity, name)
        return Response(orjson.dumps(self._model(name)), media_type="application/json")

    def _model(self, name: str) -> dict[str, Json]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "agent"}
