"""Waiting for what tells nobody that it has happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], pause: float = 0.005) -> None:
    """Looks again and again; the test's own time-out is the limit. A `pause` of 0 looks at every turn of the loop."""
    while not true():  # noqa: ASYNC110  there is no event to wait for
        await asyncio.sleep(pause)
