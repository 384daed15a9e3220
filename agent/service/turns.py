"""`GET /v1/turns/{id}`: what became of a turn."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agent.service import answer
from agent.service.auth import Identity
from agent.service.errors import ApiError
from agent.service.service import Service
from agent.store import turn_status
from agent.store.turn_status import TurnStatus
from agent.types import Json


class Turns:
    """The endpoint. A turn is its tenant's; where a holder of a key asks for users, it is its user's."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Response:
        turn_id = request.path_params["turn_id"]
        identity: Identity = request.state.identity
        status = None
        if len(turn_id) <= 64:
            status = await self._service.app.services.store.read(lambda tx: turn_status.read(tx, turn_id))
        if status is None or not _may_see(identity, status):
            raise ApiError(404, "turn_not_found", "There is no such turn.")
        return Response(orjson.dumps(_document(status)), media_type="application/json")


def _may_see(identity: Identity, status: TurnStatus) -> bool:
    return identity.may_ask(status.agent) and identity.caller.may_see(status.tenant, status.user)


def _document(status: TurnStatus) -> dict[str, Json]:
    told = answer.of_status(status)
    return {
        "id": status.turn,
        "object": "agent.turn",
        "agent": status.agent,
        "conversation_id": status.conversation,
        "trace_id": told.trace_id,
        "state": status.state,
        "outcome": status.outcome,
        "text": status.text,
        "reason": status.reason,
        "created": status.begun_at // 1_000_000,
        "ended": None if status.ended_at is None else status.ended_at // 1_000_000,
        "prompt": {"name": status.prompt_name, "version": status.prompt_version},
        "models": list(status.models),
        "usage": answer.usage(told),
        "cost_nano_usd": status.cost,
    }
