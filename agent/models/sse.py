"""Server-sent events as providers send them.

The readers of the SDK and of httpx2 follow the standard to the letter and so lose what is sent in practice: ` data:`
with a leading space is an unknown field to them, an `error:` field is silently skipped, and after an `id:` each
keep-alive is an event with empty data, which is not JSON. They also make a stream a fifth dearer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.models.bodies import parse
from agent.types import Json

_TRIED = 64
"""Lines of data up to which each may complete an event: trying after every one of a million would take for ever."""

_MOST_LINES = 2**20
"""Of one event."""


class BadEvent(ValueError):
    """An event whose data is not JSON. Holds its data (content)."""


@dataclass(frozen=True, slots=True)
class Event:
    """`body` is None for the end mark `[DONE]`. `error`: it was sent as an error, whatever its body looks like."""

    body: Json
    done: bool = False
    error: bool = False


class EventReader:
    """Bytes in, events out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._error = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises BadEvent."""
        if not chunk:
            return
        chunk = self._with_newlines(chunk)
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self._rest += chunk
            return
        whole = bytes(self._rest) + head if self._rest else head
        self._rest = bytearray(tail)
        for line in whole.split(b"\n"):
            event = self._line(line)
            if event is not None:
                yield event

    def end(self) -> Iterator[Event]:
        """The events that the end of the stream completes, its last line break missing."""
        yield from self.feed(b"\n\n")

    def _with_newlines(self, chunk: bytes) -> bytes:
        """Each of the standard's three line ends as a newline, also where a chunk ends within one."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _line(self, line: bytes) -> Event | None:
        if line.startswith(b"data:"):
            return self._value(line[5:].strip())
        line = line.strip()
        if not line:
            return self._blank()
        field, _, value = line.lstrip(b"\xef\xbb\xbf").partition(b":")
        if field == b"data":
            return self._value(value.strip())
        if field == b"event":
            self._error = value.strip() == b"error"
        if field == b"error":
            return Event(_json_or_text(value.strip()), error=True)
        return None

    def _value(self, value: bytes) -> Event | None:
        """One line of data. It is an event as soon as it is JSON: some servers leave out the blank line."""
        if value.startswith(b"[DONE]"):
            return Event(None, done=True)
        if self._error:
            self._error = False
            return Event(_json_or_text(value), error=True)
        if value or self._data:
            self._data.append(value)
        if len(self._data) > _MOST_LINES:
            raise BadEvent(f"an event of more than {_MOST_LINES:,} lines")
        return self._whole() if value and len(self._data) <= _TRIED else None

    def _whole(self) -> Event | None:
        try:
            body = parse(b"\n".join(self._data))
        except ValueError:
            return None
        self._data.clear()
        return Event(body)

    def _blank(self) -> Event | None:
        self._error = False
        if not self._data:
            return None
        event = self._whole()
        if event is None:
            data = b"\n".join(self._data)
            self._data.clear()
            raise BadEvent(data.decode("utf-8", "replace"))
        return event


def _json_or_text(value: bytes) -> Json:
    try:
        return parse(value)
    except ValueError:
        return value.decode("utf-8", "replace")
