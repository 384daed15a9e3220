"""What goes over the wire for one request, as a value: status, headers, pieces, and where it stops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson

from agent.offline.protocol import DONE, Body, event

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a reply stops: `after` that many pieces, or with None before the headers.

    `stall` waits until the client leaves, `cut` closes the connection, `reset` resets it, `gate` waits for `gate`
    to be released and goes on.
    """

    how: Literal["stall", "cut", "reset", "gate"]
    after: int | None
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Wire:
    """`pieces` are the events of a stream, or the two halves of a body. Waits in seconds."""

    pieces: tuple[bytes, ...]
    status: int = 200
    content_type: str = JSON
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: Stop | None = None
    wait_first: float = 0.0
    wait_each: float = 0.0


def of_bytes(body: bytes, status: int = 200, content_type: str = JSON) -> Wire:
    half = len(body) // 2
    return Wire((body[:half], body[half:]), status, content_type)


def of_body(body: Body, status: int = 200) -> Wire:
    return of_bytes(orjson.dumps(body), status)


def of_frames(frames: Iterable[Body]) -> Wire:
    return of_events([*map(event, frames), DONE])


def of_events(events: Iterable[bytes]) -> Wire:
    return Wire(tuple(events), content_type=EVENTS, stream=True)
