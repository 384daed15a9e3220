from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from agent.tools.threads import ToolThreads


def test_runs_at_most_its_size_at_once() -> None:
    threads, barrier, names = ToolThreads(3), threading.Barrier(3), set()

    def work() -> None:
        barrier.wait(10)  # passes only when three run at once
        names.add(threading.get_ident())

    futures: list[Future[None]] = [threads.submit(work) for _ in range(9)]
    for future in futures:
        future.result(10)
    assert len(names) == 3


def test_one_thread_serves_one_after_the_other() -> None:
    threads = ToolThreads(1)
    assert [threads.submit(lambda n=n: n).result(10) for n in range(3)] == [0, 1, 2]  # type: ignore[misc]


def test_an_error_is_raised_by_the_future_and_the_thread_lives() -> None:
    threads = ToolThreads(1)

    def fail() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit):
        threads.submit(fail).result(10)
    assert threads.submit(threading.get_ident).result(10) != threading.get_ident()


def test_a_hanging_tool_does_not_keep_the_process() -> None:
    script = (
        "import threading; from agent.tools.threads import ToolThreads; begun = threading.Event()\n"
        "ToolThreads(1).submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait(); print('end')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("end\n", "")
