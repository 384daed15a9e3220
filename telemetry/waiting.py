"""What waits to be exported: a queue that is bounded, in items and in what they weigh."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST_WAITING: Final = 8 * 1024 * 1024
"""Characters. Two thousand conversations in a queue would otherwise be hundreds of megabytes."""
MOST_TOGETHER: Final = 1024 * 1024
"""Characters of one batch: a collector takes 4 MiB in a message over gRPC, unless it is told otherwise."""


def weight(value: object) -> int:
    """The characters in a value of attributes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(weight(part) for part in value.values())
    return sum(weight(part) for part in value) if isinstance(value, list | tuple) else 1


class Waiting(Generic[T]):
    """At most `size` items, and with `weigh` at most MOST_WAITING. Given and taken by any thread."""

    def __init__(self, size: int, batch: int, weigh: Callable[[T], int] | None) -> None:
        self._size = size
        self._batch = min(batch, size)
        self._weigh = weigh
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def batch_waits(self) -> bool:
        return len(self._items) >= self._batch or self._weight >= MOST_TOGETHER

    def put(self, item: T) -> bool:
        """Whether there was room."""
        weighs = 0 if self._weigh is None else self._weigh(item)
        with self._lock:
            if len(self._items) >= self._size or self._weight + weighs > MOST_WAITING:
                return False
            self._items.append((item, weighs))
            self._weight += weighs
        return True

    def take(self) -> list[T]:
        """The next batch, at least one item unless there is none."""
        batch: list[T] = []
        together = 0
        with self._lock:
            while self._items and len(batch) < self._batch:
                item, weighs = self._items[0]
                together += weighs
                if batch and together > MOST_TOGETHER:
                    break
                self._items.popleft()
                self._weight -= weighs
                batch.append(item)
        return batch

    def clear(self) -> int:
        """How many there were."""
        with self._lock:
            left = len(self._items)
            self._items.clear()
            self._weight = 0
        return left
