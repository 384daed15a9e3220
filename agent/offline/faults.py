"""Faults on demand: the one table of them, a fault as a value, and the script that says which request gets which."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TypeAlias

import orjson

from agent.offline import faulty_calls as calls
from agent.offline import faulty_replies as replies
from agent.offline import faulty_wires as wires
from agent.offline.protocol import Argument, Body
from agent.offline.request import Asked
from agent.offline.wire import Wire, of_bytes, of_events

EditBody: TypeAlias = Callable[[Asked, Body, Argument], None]
EditFrames: TypeAlias = Callable[[list[Body], Argument], None]
ChangeWire: TypeAlias = Callable[[Asked, Wire, Argument], Wire]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, at one of three stages of a reply; `default` of its argument gives the argument's type."""

    body: EditBody | None = None
    frames: EditFrames | None = None
    wire: ChangeWire | None = None
    default: Argument | None = None

    @property
    def what(self) -> str:
        played = self.body or self.frames or self.wire
        return " ".join((played.__doc__ or "").split()) if played else "An ordinary reply."


TABLE: dict[str, Kind] = {
    "ok": Kind(),
    "status": Kind(wire=wires.status, default=500),
    "quota": Kind(wire=wires.quota),
    "context_overflow": Kind(wire=wires.context_overflow, default=1),
    "tool_use_failed": Kind(wire=wires.tool_use_failed),
    "slow": Kind(wire=wires.slow, default=1.0),
    "slow_chunks": Kind(wire=wires.slow_chunks, default=0.1),
    "stall": Kind(wire=wires.stall, default=3),
    "cut": Kind(wire=wires.cut, default=3),
    "reset": Kind(wire=wires.reset),
    "gate": Kind(wire=wires.gate, default="gate"),
    "malformed": Kind(wire=wires.malformed, default=3),
    "html": Kind(wire=wires.html),
    "content_type": Kind(wire=wires.content_type, default="text/plain"),
    "error_200": Kind(wire=wires.error_200),
    "error_chunk": Kind(wire=wires.error_chunk, default=3),
    "error_chunk_usage": Kind(wire=wires.error_chunk_usage, default=3),
    "error_event": Kind(wire=wires.error_event, default=3),
    "error_field": Kind(wire=wires.error_field, default=3),
    "truncated": Kind(wire=wires.truncated),
    "no_done": Kind(wire=wires.no_done),
    "empty_choices": Kind(frames=replies.empty_choices),
    "cumulative_usage": Kind(frames=replies.cumulative_usage),
    "malformed_arguments": Kind(body=calls.malformed_arguments),
    "absent_arguments": Kind(body=calls.absent_arguments),
    "null_arguments": Kind(body=calls.null_arguments),
    "unknown_tool": Kind(body=calls.unknown_tool, default="no_such_tool"),
    "duplicate_calls": Kind(body=calls.duplicate_calls),
    "repeated_calls": Kind(body=calls.repeated_calls),
    "cycle": Kind(body=calls.cycle, default=2),
    "parallel_calls": Kind(body=calls.parallel_calls, default=800),
    "no_usage": Kind(body=replies.no_usage),
    "usage_above_cap": Kind(body=replies.usage_above_cap, default=1000),
    "cached_above_prompt": Kind(body=replies.cached_above_prompt, default=156),
    "hidden_tokens": Kind(body=replies.hidden_tokens, default=62),
    "garbled_usage": Kind(body=replies.garbled_usage),
    "stated_cost": Kind(body=replies.stated_cost, default=0.0123),
    "stated_cost_object": Kind(body=replies.stated_cost_object, default=0.0123),
    "other_model": Kind(body=replies.other_model, default="another-model-2026-01-01"),
    "service_tier": Kind(body=replies.service_tier, default="priority"),
    "finish": Kind(body=replies.finish, default="eos"),
    "content_filter": Kind(body=replies.content_filter),
    "reasoning_only": Kind(body=replies.reasoning_only, default=100),
    "oversized": Kind(body=replies.oversized, default=8.0),
    "no_choices": Kind(body=replies.no_choices),
}
"""Every fault by name; `GET /faults` shows it. `raw` is beside it: see `Fault.raw_json`."""

_WRITTEN = re.compile(r"(?P<name>[a-z0-9_]+)(?::(?P<argument>[^;]*))?(?P<headers>(?:;[A-Za-z-]+=[^;]*)*)")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of `TABLE`, for the next `times` requests, with `headers` added to what they get.

    Raises ValueError for a name that isn't in the table and an argument that isn't of the fault's type.
    """

    name: str
    argument: Argument | None = None
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Wire | None = None

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times must be at least 1, not {self.times}")
        if self.raw is None:
            object.__setattr__(self, "argument", _argument(self.name, self.argument))

    @classmethod
    def raw_json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None, times: int = 1
    ) -> Fault:
        """Sends this JSON value, whatever is asked."""
        return cls.raw_body(orjson.dumps(value), status, headers, times)

    @classmethod
    def raw_body(
        cls, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, times: int = 1
    ) -> Fault:
        """Sends these bytes, whatever is asked; as JSON unless `headers` say another content type."""
        return cls("raw", None, times, headers or {}, of_bytes(body, status))

    @classmethod
    def raw_stream(
        cls,
        events: Iterable[str | bytes],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> Fault:
        """Sends these events, whatever is asked: bytes as they are, text as one event (its blank line is added)."""
        pieces = (part if isinstance(part, bytes) else part.rstrip("\n").encode() + b"\n\n" for part in events)
        return cls("raw", None, times, headers or {}, replace(of_events(pieces), status=status))

    @classmethod
    def parse(cls, text: str) -> Fault:
        """`NAME[:ARGUMENT][;HEADER=VALUE]…`, as in the path `/fault/status:429;retry-after=2/v1`."""
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise ValueError(f"not a fault: {text!r}; expected NAME[:ARGUMENT][;HEADER=VALUE]")
        pairs = (pair.partition("=") for pair in written["headers"].split(";")[1:])
        return cls(written["name"], written["argument"], headers={name: value for name, _, value in pairs})


def _argument(name: str, given: Argument | None) -> Argument | None:
    kind = TABLE.get(name)
    if kind is None:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(TABLE)}")
    if given is None or kind.default is None:
        if given is not None:
            raise ValueError(f"fault {name!r} takes no argument, got {given!r}")
        return kind.default
    try:
        return type(kind.default)(given)
    except ValueError:
        raise ValueError(f"fault {name!r} takes {type(kind.default).__name__}, got {given!r}") from None


class Script:
    """The faults of the next chat requests, first come first served. Safe to fill from any thread."""

    def __init__(self) -> None:
        self._faults: deque[Fault] = deque()
        self._lock = Lock()

    def push(self, *faults: Fault) -> None:
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self) -> Fault | None:
        with self._lock:
            if not self._faults:
                return None
            fault = self._faults.popleft()
            if fault.times > 1:
                self._faults.appendleft(replace(fault, times=fault.times - 1))
            return fault

    def __len__(self) -> int:
        return sum(fault.times for fault in self._faults)
