"""What a supervisor tells a worker."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sockets, pipes and files are numbers of inherited file descriptors. `loopback`: only this machine reaches it.

    `scraped_fd` is a file that is locked by the one process that answers on `metrics_fd`: a worker that ends is scraped
    until then, and its successor from then on, so that no target shows two processes in turn.
    """

    config: str
    log_level: str
    loopback: bool
    socket_fd: int
    metrics_fd: int
    scraped_fd: int
    ready_fd: int
    life_fd: int

    @staticmethod
    def read(text: str) -> Plan:
        return Plan(**json.loads(text))

    def text(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @property
    def fds(self) -> tuple[int, ...]:
        return (self.socket_fd, self.metrics_fd, self.scraped_fd, self.ready_fd, self.life_fd)
