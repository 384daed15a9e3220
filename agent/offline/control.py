"""The stand-in's own side door, for tests in other processes: `/requests`, `/faults`, `/gates`."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from agent.offline.faults import TABLE, Fault, Script
from agent.offline.gates import Gates
from agent.offline.log import AccessLog
from agent.offline.sending import LABEL


class _Written(BaseModel):
    """A fault as JSON: a name of the table with its argument, or one of `json`, `stream` and `text` to be sent raw."""

    model_config = ConfigDict(extra="forbid")
    name: str = "raw"
    argument: int | float | str | None = None
    times: int = Field(1, ge=1)
    headers: dict[str, str] = Field(default_factory=dict)
    status: int = Field(200, ge=200, le=599)
    body: JsonValue = Field(None, alias="json")
    stream: list[str] | None = None
    text: str | None = None

    def fault(self) -> Fault:
        if self.name != "raw":
            return Fault(self.name, self.argument, self.times, self.headers)
        if self.stream is not None:
            return Fault.raw_stream(self.stream, self.status, self.headers, self.times)
        if self.text is not None:
            return Fault.raw_body(self.text.encode(), self.status, self.headers, self.times)
        return Fault.raw_json(self.body, self.status, self.headers, self.times)


_WRITTEN = TypeAdapter(list[_Written] | _Written)


class Control:
    def __init__(self, log: AccessLog, faults: Script, gates: Gates) -> None:
        self._log = log
        self._faults = faults
        self._gates = gates

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/requests", self._requests),
            web.get("/faults", self._table),
            web.post("/faults", self._push),
            web.delete("/faults", self._clear),
            web.get("/gates/{name}", self._arrived),
            web.post("/gates/{name}/release", self._release),
        ]

    async def _requests(self, _: web.Request) -> web.Response:
        counts = {state: self._log.count(state) for state in ("finished", "aborted", "cut")}
        return answered({"arrived": self._log.count(), **counts, "requests": [*map(asdict, self._log.accesses)]})

    async def _table(self, _: web.Request) -> web.Response:
        return answered([{"name": name, "default": kind.default, "what": kind.what} for name, kind in TABLE.items()])

    async def _push(self, request: web.Request) -> web.Response:
        try:
            written = _WRITTEN.validate_json(await request.read())
            faults = [one.fault() for one in (written if isinstance(written, list) else [written])]
        except (ValidationError, ValueError) as problem:
            return answered({"error": str(problem)}, 400)
        self._faults.push(*faults)
        return answered({"waiting": len(self._faults)})

    async def _clear(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return answered({"waiting": 0})

    async def _arrived(self, request: web.Request) -> web.Response:
        """Answers when a request has come to the gate."""
        gate = self._gates.named(request.match_info["name"])
        await gate.arrived()
        return answered({"gate": gate.name, "arrived": True})

    async def _release(self, request: web.Request) -> web.Response:
        gate = self._gates.named(request.match_info["name"])
        gate.release()
        return answered({"gate": gate.name, "released": True})


def answered(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=LABEL)
