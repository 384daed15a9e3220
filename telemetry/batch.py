"""A bounded queue in front of an exporter, emptied by a thread.

Not the SDK's own batch processor, because there a drop is seen only with a switch in the environment, a flush has no
time limit, and a shut-down with a hanging collector takes 19.5 s.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from telemetry.destination import Queue
from telemetry.metrics import DropReason, Signal
from telemetry.waiting import Waiting
from telemetry.worker import Worker

_log = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Exporter(Protocol[T_contra]):
    """An exporter of the SDK; its result is an enum with the member `SUCCESS`."""

    def export(self, batch: Sequence[T_contra], /) -> enum.Enum: ...
    def shutdown(self) -> None: ...


class Disconnectable(Protocol):
    def shutdown(self) -> None: ...


def disconnect(exporter: Disconnectable) -> None:
    try:
        exporter.shutdown()
    except Exception as error:  # noqa: BLE001 - the edge to the SDK: the end of a program goes on
        _log.warning("closing an exporter failed: %s", type(error).__name__)


class Batcher(Generic[T]):
    """Takes items from any thread without waiting; when `queue.size` wait, new ones are dropped, and counted. With
    `weigh` (characters of an item) the queue is bounded by those, too: for where content is captured.

    `connect` makes the exporter, in the background and when it is first needed: loading one takes 0.2 s, and the child
    of a fork needs connections of its own. `dropped(signal, reason, items)` is told of every loss.
    """

    def __init__(
        self,
        signal: Signal,
        connect: Callable[[], Exporter[T]],
        dropped: Callable[[Signal, DropReason, int], None],
        queue: Queue,
        *,
        weigh: Callable[[T], int] | None = None,
    ) -> None:
        self._signal = signal
        self._connect = connect
        self._dropped = dropped
        self._empty: Callable[[], Waiting[T]] = lambda: Waiting(queue.size, queue.batch, weigh)
        self._waiting = self._empty()
        self._exporter: Exporter[T] | None = None
        self._exporting = 0
        self._abandoned = False
        self.worker = Worker(f"telemetry export of {signal}", queue.interval, self._export_all)

    def put(self, item: T) -> None:
        if self.worker.stopping:
            self._dropped(self._signal, "shutdown", 1)
        elif not self._waiting.put(item):
            self._dropped(self._signal, "queue_full", 1)
        elif self._waiting.batch_waits:
            self.worker.wake()

    def restart(self) -> None:
        """In the child of a fork: what is queued is the parent's to export."""
        self._waiting = self._empty()
        self._exporter = None
        self.worker.start()

    def close(self, timeout: float) -> None:
        """Wait for the last round, that `worker.stop()` asked for, and count what it left: what hangs at the exporter,
        too, since nobody will hear of it again."""
        self._abandoned = not self.worker.join(timeout)
        left = self._waiting.clear() + (self._exporting if self._abandoned else 0)
        if left:
            self._dropped(self._signal, "shutdown", left)
        if self._exporter is not None:
            disconnect(self._exporter)

    def _export_all(self) -> None:
        """What waits now; what comes meanwhile waits for the next round."""
        left = len(self._waiting)
        while left > 0 and (batch := self._waiting.take()):
            left -= len(batch)
            delivered = self._export(batch)
            if not delivered and self.worker.stopping:
                return  # one time-out at the end is enough; close() counts the rest

    def _export(self, batch: list[T]) -> bool:
        delivered = False
        self._exporting = len(batch)
        try:
            if self._exporter is None:
                self._exporter = self._connect()
            delivered = self._exporter.export(batch).name == "SUCCESS"
        finally:
            self._exporting = 0
            if not delivered and not self._abandoned:
                self._dropped(self._signal, "export_failed", len(batch))
        return delivered
