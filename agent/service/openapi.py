"""The OpenAPI document of the service, served at `/openapi.json`."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from agent import __version__
from agent.service.request import ChatRequest
from agent.service.responses import (
    Completion,
    ErrorBody,
    HealthBody,
    ModelBody,
    ModelListBody,
    TurnBody,
)

_ERRORS = {
    400: "Something in the request can't be used; `param` names it.",
    401: "No key, or a wrong one.",
    402: "A budget has no room for this; `budget` has the numbers.",
    403: "This key may not ask this agent, or this host name is not answered to.",
    404: "There is no such agent, conversation or turn.",
    405: "This method is not for this path.",
    408: "The body took too long.",
    409: "Another turn is under way in this conversation, or its prompt version is gone.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "This Idempotency-Key came with another body before.",
    429: "Too many requests a minute, or too many at once; `Retry-After` says when.",
    500: "A defect; it was logged.",
    503: "Too busy, ending, or every model failed; `Retry-After` says when.",
    504: "The turn's time was up before there was an answer.",
}
_ALWAYS = (400, 401, 403, 404, 405, 500)
_TURN = (*_ALWAYS, 402, 408, 409, 413, 415, 422, 429, 503, 504)


async def endpoint(request: Request) -> Response:
    return Response(_bytes(), media_type="application/json")


@cache
def _bytes() -> bytes:
    return orjson.dumps(document())


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    shapes = (ChatRequest, Completion, ErrorBody, HealthBody, ModelBody, ModelListBody, TurnBody)
    _, definitions = models_json_schema(
        [(shape, "validation") for shape in shapes], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agent",
            "version": __version__,
            "description": "The agents of this service as models of the OpenAI API: any client of it is a front end.",
        },
        "paths": _paths(),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _paths() -> dict[str, Any]:
    return {
        "/v1/chat/completions": {"post": _chat()},
        "/v1/models": {"get": _get("listModels", "The agents that this key may ask.", "ModelListBody", _ALWAYS)},
        "/v1/models/{model}": {"get": _get("getModel", "One agent.", "ModelBody", _ALWAYS, [_path_parameter("model")])},
        "/v1/turns/{turn_id}": {
            "get": _get("getTurn", "What became of a turn.", "TurnBody", (*_ALWAYS, 503), [_path_parameter("turn_id")])
        },
        "/healthz": {"get": _open("alive", "The process answers.")},
        "/readyz": {"get": _open("ready", "The process takes turns.", 503)},
    }


def _chat() -> dict[str, Any]:
    return {
        "operationId": "createChatCompletion",
        "summary": "One turn of an agent.",
        "parameters": [
            _header("Idempotency-Key", "The same key by the same caller within a day is the same turn.", 255),
            _header("x-conversation-id", "Goes on with this conversation; only the last message is taken.", 128),
            _header("traceparent", "The turn's trace goes on with this one (W3C Trace Context).", 256),
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("ChatRequest")}}},
        "responses": {
            "200": {
                "description": "The answer; with `stream`, server-sent events of `chat.completion.chunk` objects.",
                "content": {
                    "application/json": {"schema": _ref("Completion")},
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            },
            **_errors(_TURN),
        },
    }


def _get(
    name: str, summary: str, shape: str, errors: tuple[int, ...], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": _ref(shape)}}},
            **_errors(errors),
        },
    }


def _open(name: str, summary: str, *more: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("HealthBody")}}
    answers = {str(status): {"description": summary, "content": content} for status in (200, *more)}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {**answers, **_errors((400, 403, 405, 500))},
    }


def _errors(statuses: tuple[int, ...]) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("ErrorBody")}}
    return {str(status): {"description": _ERRORS[status], "content": content} for status in sorted(statuses)}


def _header(name: str, text: str, length: int) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": length}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _ref(shape: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape}"}
