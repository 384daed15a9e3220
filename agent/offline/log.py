"""The access log: every request the stand-in got, from its arrival on, so that other processes' requests count too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition
from typing import Literal

import orjson

from agent.offline.request import Asked

State = Literal["arrived", "finished", "aborted", "cut"]
"""`finished`: all was sent. `aborted`: the client left before. `cut`: we broke the connection off."""


@dataclass(frozen=True, slots=True)
class Access:
    """One request. `at` is Unix seconds, `seconds` how long it took, `pieces` how many were sent.

    `output_tokens` is what the reply's own usage states, sent or not; None where it states none.
    """

    number: int
    at: float
    path: str
    model: str | None
    stream: bool
    fault: str | None
    messages: int
    tools: int
    last_role: str | None
    input_tokens: int
    output_tokens: int | None = None
    idempotency_key: str | None = None
    state: State = "arrived"
    status: int | None = None
    pieces: int = 0
    seconds: float | None = None


class AccessLog:
    """In memory, and appended to `file` as JSON lines: one on arrival, one at the end, each flushed at once.

    A request is here before any of its reply is sent; its end is written right after the last byte, so that a client
    in another thread may have the reply first: `wait` for it.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._accesses: list[Access] = []
        self._changed = Condition()
        self._file = file.open("ab", buffering=0) if file else None

    @property
    def accesses(self) -> tuple[Access, ...]:
        return tuple(self._accesses)

    def count(self, state: State | None = None) -> int:
        """Requests in this state; with None all that arrived."""
        return sum(state in (None, access.state) for access in self.accesses)

    def arrived(self, path: str, asked: Asked | None, fault: str | None, idempotency_key: str | None) -> Access:
        access = Access(
            number=len(self._accesses) + 1,
            at=time.time(),
            path=path,
            model=asked.model if asked else None,
            stream=bool(asked and asked.stream),
            fault=fault,
            messages=len(asked.messages) if asked else 0,
            tools=len(asked.tools) if asked else 0,
            last_role=asked.messages[-1].role if asked else None,
            input_tokens=asked.input_tokens if asked else 0,
            idempotency_key=idempotency_key,
        )
        with self._changed:
            self._accesses.append(access)
            self._changed.notify_all()
        self._write(access)
        return access

    def ended(self, access: Access, state: State, status: int, pieces: int, output_tokens: int | None) -> None:
        ended = replace(
            access,
            state=state,
            status=status,
            pieces=pieces,
            output_tokens=output_tokens,
            seconds=time.time() - access.at,
        )
        with self._changed:
            self._accesses[access.number - 1] = ended
            self._changed.notify_all()
        self._write(ended)

    def wait(self, true: Callable[[AccessLog], bool], timeout: float = 10.0) -> None:
        """Blocks a thread (not the server's own) until `true(log)`; TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: true(self), timeout):
                raise TimeoutError(f"the access log did not get there in {timeout} s: {self.accesses}")

    async def until(self, true: Callable[[AccessLog], bool], timeout: float = 10.0) -> None:  # noqa: ASYNC109
        await asyncio.to_thread(self.wait, true, timeout)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, access: Access) -> None:
        if self._file:
            self._file.write(orjson.dumps(asdict(access)) + b"\n")
