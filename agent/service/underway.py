"""A turn under way for one client, in a task of its own: its text as it comes, its end, and the client's leaving."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive

from agent.conversing import Conversing
from agent.service.answer import Answered
from agent.types import Event, TextDelta

_AHEAD = 262_144
"""Characters that a client may be behind before the model's answer is read no further."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was said for `keep_alive` seconds."""


class UnderWay:
    """`run` is given what takes the turn's events and is told how far it is in `so_far`. `joined`: the turn is another
    request's, and this one waits for its end."""

    def __init__(self, run: Callable[[UnderWay], Awaitable[Answered]], *, stream: bool, keep_alive: float) -> None:
        self.joined = False
        self._keep_alive = keep_alive
        self.so_far = Conversing(stream)
        self.began = int(time.time())
        self._texts: list[str] = []
        self._size = 0
        self._news = asyncio.Event()
        self._read = asyncio.Event()
        self._left = False
        self.task = asyncio.ensure_future(run(self))
        self.task.add_done_callback(self._over)

    def _over(self, task: asyncio.Future[Answered]) -> None:
        if not task.cancelled():
            task.exception()  # where the client has gone nobody hears of it; the turn's own end says what it was
        self._news.set()

    async def emit(self, event: Event) -> None:
        """Takes the text; waits where the client is far behind."""
        if not isinstance(event, TextDelta) or self._left:
            return
        self._texts.append(event.text)
        self._size += len(event.text)
        self._news.set()
        while self._size > _AHEAD and not self._left:
            self._read.clear()
            await self._read.wait()

    async def pieces(self) -> AsyncIterator[str | Silence]:
        """The text as it comes, until the turn is over or the client has gone."""
        while True:
            if self._texts:
                text = "".join(self._texts)
                self._texts.clear()
                self._size = 0
                self._read.set()
                yield text
            elif self.task.done() or self._left:
                return
            else:
                self._news.clear()
                try:
                    async with asyncio.timeout(self._keep_alive):
                        await self._news.wait()
                except TimeoutError:
                    yield Silence()

    @contextlib.asynccontextmanager
    async def watching(self, receive: Receive) -> AsyncIterator[None]:
        """Notices meanwhile that the client goes. The body must have been read."""
        watcher = asyncio.create_task(self._watch(receive))
        try:
            yield
        finally:
            watcher.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    def leave(self) -> None:
        """Nobody reads any more."""
        self._left = True
        self._news.set()
        self._read.set()

    @property
    def left(self) -> bool:
        return self._left

    async def end(self) -> Answered:
        """How it ended. Raises what `run` raised; `CancelledError` where the process gives its turns back."""
        return await self.task

    async def cancel(self) -> None:
        """Ends the turn as cancelled, and waits until that is written."""
        self.leave()
        self.task.cancel()
        await asyncio.wait([self.task])
