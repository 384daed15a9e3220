"""What the endpoints of one worker share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from agent.app import App
from agent.service.auth import Doorkeeper
from agent.service.places import Places
from agent.service.shapes import ServiceFile


@dataclass(slots=True)
class Service:
    """`draining`: no new turns. `kept` are turns whose client has gone and will ask for them again.

    `keep_alive`: seconds of silence after which a stream shows that it lives.
    """

    app: App
    options: ServiceFile
    doorkeeper: Doorkeeper
    places: Places
    draining: bool = False
    keep_alive: float = 10.0
    kept: set[asyncio.Future[Any]] = field(default_factory=set)

    def keep(self, task: asyncio.Future[Any]) -> None:
        self.kept.add(task)
        task.add_done_callback(self.kept.discard)
