"""The stand-in, and what it was asked: whole requests, where the access log only has their sizes."""

from __future__ import annotations

from aiohttp import web

from agent.offline.faults import Fault
from agent.offline.request import Asked
from agent.offline.server import OfflineModel


class Overheard(OfflineModel):
    """`asked` are the requests in the order of their arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    async def _reply(self, request: web.Request, asked: Asked, fault: Fault | None) -> web.StreamResponse:
        self.asked.append(asked)
        return await super()._reply(request, asked, fault)

    @property
    def said(self) -> list[tuple[str, str]]:
        """Role and text of each message of the last request."""
        return [(message.role, message.content) for message in self.asked[-1].messages]
