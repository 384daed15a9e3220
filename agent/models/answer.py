"""Reads one answer from its bytes, whatever it was asked to be and says to be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from time import perf_counter
from typing import Protocol

from agent.models.assemble import Assembly
from agent.models.bodies import LARGEST_JSON, parse
from agent.models.clock import Clock
from agent.models.error_bodies import error_in, only_error
from agent.models.failures import broken, refused
from agent.models.protocol import OnText
from agent.models.sse import BadEvent, Event, EventReader
from agent.types import Json

_HEAD, _BLANKS = 8, 4096
"""Bytes that tell an event from JSON; how many are waited through until they come."""

_SLICE = 16 * 1024
"""Bytes of a stream that are read before others in the process, and the deadline, get their turn."""

_MOST_EVENTS = 500_000
"""Of one answer: four times the longest answers of today, a token an event."""

_EVENT = re.compile(rb"(?:data|event|id|retry|error)? *:")


class Bytes(Protocol):
    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end."""
        ...


class AnswerReader:
    """`started`: `perf_counter` when the attempt began. Raises CallFailed."""

    def __init__(self, assembly: Assembly, clock: Clock, on_text: OnText, started: float) -> None:
        self._assembly = assembly
        self._arrived = assembly.arrived
        self._clock = clock
        self._on_text = on_text
        self._last = started
        self._stream = False
        self._events_left = _MOST_EVENTS
        self.consumer_error: Exception | None = None
        """What `on_text` raised."""

    async def read(self, content: Bytes, content_type: str, stream: bool) -> None:
        """`stream` says what was asked for. What came is read for what it is, whatever it is called."""
        self._stream = stream
        head = await self._head(content)
        if _is_events(head.lstrip(b" \t\r\n\xef\xbb\xbf"), content_type, stream):
            await self._events(head, content)
        else:
            await self._whole(head, content)
        if not self._assembly.began:
            raise broken("malformed", "no_choices", "The answer has no choice.", self._arrived)

    async def _head(self, content: Bytes) -> bytes:
        head = b""
        while len(head.lstrip()) < _HEAD and len(head) < _BLANKS and (data := await self._next(content)):
            head += data
        return head

    async def _events(self, head: bytes, content: Bytes) -> None:
        reader = EventReader()
        try:
            while data := head or await self._next(content):
                head = b""
                for start in range(0, len(data), _SLICE):
                    if start:
                        await asyncio.sleep(0)
                    if not self._assembly.done:  # what follows the end mark is only read to use the connection again
                        await self._take_all(reader.feed(data[start : start + _SLICE]))
            await self._take_all(reader.end())
        except BadEvent as error:
            if not self._assembly.ended:
                raise broken("malformed", "bad_event", str(error), self._arrived) from None
        if not self._assembly.ended:
            raise broken("malformed", "stream_truncated", "The stream ended before the answer did.", self._arrived)

    async def _next(self, content: Bytes) -> bytes:
        self._clock.await_more(self._assembly.done)
        return await content.read()

    async def _take_all(self, events: Iterable[Event]) -> None:
        self._clock.pause()
        for event in events:
            if self._assembly.done:
                return
            self._events_left -= 1
            if self._events_left < 0:
                raise broken("malformed", "too_many_events", f"More than {_MOST_EVENTS:,} events.", self._arrived)
            await self._take(event)

    async def _take(self, event: Event) -> None:
        body = only_error(event.body)
        if event.done:
            self._assembly.end()
        elif event.error:
            raise refused(body, None, self._arrived)
        elif isinstance(body, dict):
            if body.get("choices"):
                self._time()
            await self._feed(body)

    def _time(self) -> None:
        if not self._stream:
            return
        now = perf_counter()
        if self._arrived.first_chunk is None:
            self._arrived.first_chunk = now - self._last
        else:
            self._arrived.chunk_gaps.append(now - self._last)
        self._last = now

    async def _whole(self, head: bytes, content: Bytes) -> None:
        pieces, size = [head], len(head)
        while data := await self._next(content):
            pieces.append(data)
            size += len(data)
            if size > LARGEST_JSON:  # the rest is not worth its memory
                break
        try:
            body = only_error(parse(b"".join(pieces)))
        except ValueError as error:
            raise broken("malformed", "not_json", str(error), self._arrived) from None
        if not isinstance(body, dict):
            raise broken("malformed", "not_json", "The answer is no JSON object.", self._arrived)
        self._clock.pause()
        self._assembly.end()
        self._time()
        await self._feed(body)

    async def _feed(self, body: dict[str, Json]) -> None:
        text = self._assembly.feed(body)
        if text:
            self._arrived.shown = True
            await self._show(text)
        if error_in(body):
            raise refused(body, None, self._arrived)

    async def _show(self, text: str) -> None:
        try:
            await self._on_text(text)
        except Exception as error:
            self.consumer_error = error
            raise


def _is_events(head: bytes, content_type: str, stream: bool) -> bool:
    if head.startswith((b"{", b"[")):
        return False
    named = "event-stream" in content_type or (stream and "json" not in content_type)
    return named or _EVENT.match(head) is not None
