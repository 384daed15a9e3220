"""Where a turn can be stopped: every point between two transactions and two acts on the outside world.

A turn of two model calls and two tool calls is four transactions and four acts; `retried` is one more of both:

    begin | request 1 | settle + journal + tools started | tools | tools answered + hold | request 2 | settle + done
          ^           ^                                  ^       ^                       ^           ^

`order_part` may never be repeated, `open_ticket` may with the same key. Both are asked for in one reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Place:
    """`stop`: of the driver. `request`: the n-th is held at the provider, before its headers or within its reply.
    `tool`: held in it, with the other one done. `status`: of a first reply that is tried again."""

    stop: str | None = None
    request: int | None = None
    within: bool = False
    tool: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A place, and what is there in the end.

    `requests`: all that left, of the process that was stopped and of the one that went on. `booked`: ledger rows by
    kind. `ran`: runs of `order_part` and `open_ticket` by both. `unknown`: the model is told that nobody knows whether
    `order_part` has run. `late`: the attempt under way expires, and a process that comes back from a freeze books it:
    at what it cost, at nothing, or (where its reply may yet come) at either.
    """

    name: str
    place: Place
    requests: int
    booked: Mapping[str, int]
    ran: tuple[int, int] = (1, 1)
    unknown: bool = False
    late: Literal["measured", "nothing", "either"] | None = None


PAID = {"attempt": 2}
LOST = {"attempt": 2, "expiry": 1}

POINTS = (
    Point("begun, request 1 not sent", Place("after 1"), 2, LOST, late="nothing"),
    Point("request 1 sent", Place(request=1), 3, LOST, late="either"),
    Point("in reply 1", Place(request=1, within=True), 3, LOST, late="either"),
    Point("reply 1 not journaled", Place("before 2"), 3, LOST, late="measured"),
    Point("reply 1 journaled, tools not run", Place("after 2"), 2, PAID, (0, 1), unknown=True),
    Point("in order_part", Place(tool="order_part"), 2, PAID, (1, 2), unknown=True),
    Point("in open_ticket", Place(tool="open_ticket"), 2, PAID, (1, 2), unknown=True),
    Point("tools done, not journaled", Place("before 3"), 2, PAID, (1, 2), unknown=True),
    Point("tools journaled, request 2 not sent", Place("after 3"), 2, LOST, late="nothing"),
    Point("request 2 sent", Place(request=2), 3, LOST, late="either"),
    Point("in reply 2", Place(request=2, within=True), 3, LOST, late="either"),
    Point("reply 2 not journaled", Place("before 4"), 3, LOST, late="measured"),
    Point("done, process not ended", Place("after 4"), 2, PAID),
    Point("refused, retry not held", Place("before 2", status=503), 3, LOST, late="nothing"),
    Point("retry held, not sent", Place("after 2", status=503), 3, {**LOST, "release": 1}, late="nothing"),
)
NOTHING_WRITTEN = Place("before 1")
"""Nobody knows of the turn: there is nothing to go on with."""
DONE = "done, process not ended"
