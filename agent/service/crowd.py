"""How many requests a key may have under way in one worker, whatever they are at: bodies that come, turns, waiting."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from agent.opening import TooMany
from agent.service.auth import Identity

_FOR_EACH_TURN = 2
"""One that began the turn, and one that asks for it again."""


class Crowd:
    """Counts them at the door. What holds for the turns of a key is no limit for bodies that come slowly, or for those
    who wait for a turn that was begun: one key could take all memory, or all places."""

    def __init__(self) -> None:
        self._inside: Counter[tuple[str, str | None]] = Counter()

    @contextlib.contextmanager
    def one(self, identity: Identity) -> Iterator[None]:
        """Raises `TooMany` where the key has a concurrency, and too many requests here."""
        who, pace = (identity.caller.tenant, identity.caller.key), identity.pace
        if pace and pace.concurrency is not None and self._inside[who] >= _FOR_EACH_TURN * pace.concurrency:
            raise TooMany
        self._inside[who] += 1
        try:
            yield
        finally:
            self._inside[who] -= 1
            if not self._inside[who]:
                del self._inside[who]
