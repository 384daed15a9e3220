"""Who asks: a key gives the tenant, and what its holder may."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from starlette.datastructures import Headers

from agent.service.errors import ApiError
from agent.service.keys import Keys
from agent.store.work import Pace
from agent.types import Caller

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 3.2
"""Seconds that a wrong key is answered late: doubled with each one that comes from the same address."""

_REMEMBERED = 10_000
_USER_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever asks. `agents`: those it may ask, None for all."""

    caller: Caller
    agents: frozenset[str] | None = None
    pace: Pace | None = None

    def may_ask(self, agent: str) -> bool:
        return self.agents is None or agent in self.agents


LOCAL = Identity(Caller())
"""Whoever reaches a service that has no keys: it listens on loopback only."""


class Doorkeeper:
    """Lets in who has a key. `open_door`: everybody where there are no keys; never again for as long as this lives
    where there was one, so that who takes the last key away opens nothing. Wrong keys are answered ever later."""

    def __init__(self, keys: Keys, *, open_door: bool) -> None:
        self._keys = keys
        self._open = open_door and not keys
        self._failures: OrderedDict[str, int] = OrderedDict()

    async def let_in(self, headers: Headers, address: str) -> Identity:
        """Raises `ApiError` (400, 401)."""
        self._keys.refresh()
        scheme, _, token = headers.get("authorization", "").partition(" ")
        found = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            if self._is_open():
                return LOCAL
            raise await self._refusal(address)
        self._failures.pop(address, None)
        user = _user(headers, found.user_header) if found.user_header else None
        pace = Pace(found.requests_per_minute, found.concurrency)
        agents = frozenset(found.agents) or None
        return Identity(Caller(found.tenant, user, found.name), agents, pace if pace != Pace(None, None) else None)

    def failures(self, address: str) -> int:
        """How many wrong keys have come from there since the last right one."""
        return self._failures.get(address, 0)

    def _is_open(self) -> bool:
        self._open = self._open and not self._keys
        return self._open

    async def _refusal(self, address: str) -> ApiError:
        failures = self._failures.pop(address, 0) + 1
        self._failures[address] = failures
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        await asyncio.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 10)))
        return ApiError(
            401,
            "invalid_api_key",
            "There is no such key. Send yours as `Authorization: Bearer …`.",
            headers={"www-authenticate": "Bearer"},
        )


def _user(headers: Headers, name: str) -> str | None:
    """Raises `ApiError` (400), also where there are two: one of them may have come through from the user."""
    given = headers.getlist(name)
    if len(given) > 1:
        raise ApiError(400, "invalid_request", f"`{name}` came more than once.")
    if given and not 0 < len(given[0]) <= _USER_LENGTH:
        raise ApiError(400, "invalid_request", f"`{name}` must have 1 to {_USER_LENGTH} characters.")
    return given[0] if given else None
