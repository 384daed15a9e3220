"""The threads that blocking tools run in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeVar

_T = TypeVar("_T")
_Job: TypeAlias = Callable[[], None]


class ToolThreads:
    """At most `size` threads, started when first needed. They don't keep the process from ending.

    A `def` tool cannot be stopped, only abandoned, and the standard ThreadPoolExecutor waits at exit for what was
    abandoned: a tool that hangs would make Ctrl-C hang. An abandoned call keeps its thread until it returns.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._started = 0
        self._lock = threading.Lock()
        self._idle = threading.Semaphore(0)
        self._jobs: SimpleQueue[_Job] = SimpleQueue()

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Queues the work. The future can be cancelled until a thread has begun it."""
        future: Future[_T] = Future()
        self._jobs.put(lambda: _fulfil(future, work))
        if not self._idle.acquire(blocking=False):
            self._start()
        return future

    def _start(self) -> None:
        with self._lock:
            if self._started == self._size:
                return
            self._started += 1
        threading.Thread(target=self._serve, name="agent-tool", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                self._idle.release()
                job = self._jobs.get()
            job()
            del job  # else an idle thread would keep the last call's arguments alive


def _fulfil(future: Future[_T], work: Callable[[], _T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  a thread's edge: whoever awaits the future raises it
        future.set_exception(error)
    else:
        future.set_result(result)
