"""`agent serve` as processes of their own, and clients that ask it again until they have their answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import aiohttp

from agent.offline.server import OfflineModel
from agent.types import Json
from tests.support.app import Overrides, write_config
from tests.support.processes import Process, Processes

QUESTION = "My laptop will not connect to wifi."


@dataclass
class Supervised:
    """A running `agent serve`. `root` is the server's URL; `scraped` are the workers' metrics ports."""

    process: Process
    root: str
    scraped: Sequence[int]
    targets: Path
    store: Path

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    @property
    def workers(self) -> list[int]:
        """The ids of the worker processes, the oldest first."""
        return children(self.process.pid)

    @property
    def busiest(self) -> int:
        """The worker with the most connections."""
        return max(self.workers, key=_sockets)

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def log(self) -> list[Mapping[str, Json]]:
        return [json.loads(line) for line in self.process.stderr.splitlines() if line.startswith("{")]


def serve(
    processes: Processes,
    folder: Path,
    model: OfflineModel,
    /,
    *options: str,
    lease_seconds: float = 15,
    service: Mapping[str, Json] | None = None,
    **overrides: Unpack[Overrides],
) -> Supervised:
    """`service`: what its `service.yaml` says. Called again with the same folder: another one of the same store."""
    config = write_config(folder / "config", model.base_url, **overrides)
    if service is not None:
        (config / "service.yaml").write_text(json.dumps(service))
    targets = folder / "targets.json"
    process = processes.agent(
        *("--log-level", "info", "serve", "--port", "0", "--metrics-port", "0", "--metrics-targets", str(targets)),
        *options,
        env={
            "AGENT_CONFIG": str(config),
            "AGENT_STORE": f"sqlite:///{folder / 'store.db'}?synchronous=NORMAL&lease={lease_seconds}",
            "OTEL_SDK_DISABLED": "true",
            **overrides.get("env", {}),
        },
    )
    root = process.wait_for_line(r"serving at (http://.*)/v1 ", "stderr", 60)[1]
    ports = process.wait_for_line(r"metrics at 127.0.0.1, port ([\d, ]+);", "stderr")[1]
    return Supervised(process, root, [int(port) for port in ports.split(",")], targets, folder / "store.db")


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.name))
    return sorted(found)


def gone(pid: int) -> bool:
    """Whether a process that need not be a child of this one has ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _sockets(pid: int) -> int:
    return sum(os.readlink(fd).startswith("socket:") for fd in Path(f"/proc/{pid}/fd").iterdir())


@dataclass
class Client:
    """One question, asked with the same Idempotency-Key until it is answered. `cut`: how often it heard nothing, or not
    the end; `refused`: the codes of the errors that it got."""

    root: str
    key: str
    stream: bool = False
    text: str = QUESTION
    answer: str = ""
    turn: str = ""
    cut: int = 0
    refused: list[str] = field(default_factory=list)
    ended: float = 0.0

    async def ask(self, session: aiohttp.ClientSession) -> bool:
        while not await self.try_once(session):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.1)
        self.ended = time.time()
        return True

    async def try_once(self, session: aiohttp.ClientSession) -> bool:
        """Whether there was an answer."""
        body = {"model": "desk", "messages": [{"role": "user", "content": self.text}], "stream": self.stream}
        headers = {"idempotency-key": self.key}
        try:
            async with session.post(f"{self.root}/v1/chat/completions", json=body, headers=headers) as response:
                text = await response.text()
        except (aiohttp.ClientError, ConnectionError):
            self.cut += 1
            return False
        if response.status != 200:
            self.refused.append(json.loads(text)["error"]["code"])
            return False
        if self.stream:
            return self._read_stream(text)
        document = json.loads(text)
        self.answer, self.turn = document["choices"][0]["message"]["content"], document["agent"]["turn_id"]
        return True

    def _read_stream(self, text: str) -> bool:
        events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        chunks = [json.loads(event) for event in events if event != "[DONE]"]
        failed = [chunk["error"]["code"] for chunk in chunks if "error" in chunk]
        if failed or events[-1:] != ["[DONE]"]:
            self.refused += failed
            self.cut += not failed
            return False
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        self.answer = "".join(choice["delta"].get("content") or "" for choice in choices)
        (self.turn,) = [chunk["agent"]["turn_id"] for chunk in chunks if "agent" in chunk]
        return True


def session() -> aiohttp.ClientSession:
    """Each request has a connection of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(90)
    )


async def status_of(http: aiohttp.ClientSession, root: str, path: str) -> tuple[int, Mapping[str, Json]]:
    async with http.get(f"{root}{path}") as response:
        return response.status, await response.json()
