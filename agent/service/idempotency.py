"""A request that was there already: its answer, waited for where its turn is still under way, in whichever process."""

from __future__ import annotations

import asyncio
import time

from agent.app import App
from agent.opening import TurnKnown
from agent.service import failures
from agent.service.answer import Answered, of_status
from agent.service.errors import ApiError
from agent.store import turn_status
from agent.store.work import Key

_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
"""Seconds between two looks at a turn: no store tells by itself that another process has written to it."""


async def join(app: App, known: TurnKnown, key: Key, patience: float) -> Answered:
    """The end of the turn that has this key. Raises `ApiError`: 422, and 503 where this process ends meanwhile, or the
    turn has not ended in `patience` seconds."""
    if known.digest != key.digest:
        raise ApiError(
            422, "idempotency_key_reused", "This Idempotency-Key came with another body before; take a new one."
        )
    wait, until = _FIRST_LOOK, time.monotonic() + patience
    while True:
        status = await app.services.store.read(lambda tx: turn_status.read(tx, known.turn))
        if status and status.outcome:
            return of_status(status)
        if app.leaving:
            raise failures.handed_back()
        if time.monotonic() > until:
            raise failures.still_open()
        await asyncio.sleep(wait)
        wait = min(_LONGEST_LOOK, wait * 1.5)
