"""The service of one worker, put together."""

from __future__ import annotations

import time

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from agent.service import openapi
from agent.service.chat import Chat
from agent.service.edge import Edge
from agent.service.health import Health
from agent.service.models import Models
from agent.service.service import Service
from agent.service.turns import Turns

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def build(service: Service, *, has_keys: bool) -> ASGIApp:
    """The ASGI application."""
    health, models = Health(service), Models(service, int(time.time()))
    routes = [
        Route("/v1/chat/completions", Chat(service), methods=["POST"]),
        Route("/v1/models", models.list, methods=["GET"]),
        Route("/v1/models/{model}", models.one, methods=["GET"]),
        Route("/v1/turns/{turn_id}", Turns(service).__call__, methods=["GET"]),
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/openapi.json", openapi.endpoint, methods=["GET"]),
    ]
    hosts = None if has_keys else LOOPBACK_NAMES
    router = Router(routes, redirect_slashes=False)
    return Edge(router, service.doorkeeper, service.app.services.telemetry.metrics, hosts)
