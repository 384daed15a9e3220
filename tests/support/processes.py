"""Programs under test as processes of their own: read by line, frozen, killed, always reaped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

ROOT = Path(__file__).parents[2]
"""Where `python -m agent` finds the project."""

Stream = Literal["stdout", "stderr"]


class Process:
    """A running program, leader of a process group. Both outputs are read as they come, so that no pipe fills up."""

    def __init__(self, argv: Sequence[str], cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
        """`env` is added to this process's environment."""
        self._popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._news = threading.Condition()
        self._lines: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._open: set[Stream] = {"stdout", "stderr"}
        self._read("stdout", self._popen.stdout)
        self._read("stderr", self._popen.stderr)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        """All lines so far; all there will be, after `wait`."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        return self._text("stderr")

    def wait_for_line(self, pattern: str, stream: Stream = "stdout", timeout: float = 30.0) -> re.Match[str]:
        """The first line, past ones included, in which the regular expression is found.

        AssertionError, with both outputs, once the stream has ended or `timeout` seconds are over.
        """
        seen = 0
        found: re.Match[str] | None = None

        def search() -> bool:
            nonlocal seen, found
            ended = stream not in self._open
            for line in self._lines[stream][seen:]:
                seen += 1
                found = found or re.search(pattern, line)
            return found is not None or ended

        with self._news:
            self._news.wait_for(search, timeout)
        if found is None:
            raise AssertionError(f"no line {pattern!r} on {stream}\n{self._report()}")
        return found

    def send(self, text: str) -> None:
        """Writes to its stdin."""
        stdin = self._popen.stdin
        assert stdin is not None
        stdin.write(text.encode())
        stdin.flush()

    def close_stdin(self) -> None:
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()

    def wait(self, timeout: float = 30.0) -> int:
        """Its exit code, negative for the signal that killed it, with all its output read."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s\n{self._report()}") from None
        with self._news:
            if not self._news.wait_for(lambda: not self._open, timeout):
                raise AssertionError(f"children of it still hold its output after {timeout} s\n{self._report()}")
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """To the process alone, not to its group."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as `kill -9`; returns once it is dead. Its children live on, until the test's end."""
        self._popen.kill()
        self._popen.wait()

    def freeze(self) -> None:
        """SIGSTOP; returns once the kernel has stopped all its threads."""
        self._change(signal.SIGSTOP, os.WSTOPPED, os.CLD_STOPPED)

    def thaw(self) -> None:
        """SIGCONT; returns once the kernel has continued it."""
        self._change(signal.SIGCONT, os.WCONTINUED, os.CLD_CONTINUED)

    def end(self) -> None:
        """Kills whatever is left of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        self.close_stdin()

    def _change(self, number: signal.Signals, option: int, code: int) -> None:
        state = None
        if self._popen.returncode is None:
            # Not Popen.send_signal, which reaps; and WNOWAIT, so that an exit seen here is left to Popen.
            os.kill(self.pid, number)
            state = os.waitid(os.P_PID, self.pid, option | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != code:
            raise AssertionError(f"{number.name}: the process has ended\n{self._report()}")
        os.waitid(os.P_PID, self.pid, option | os.WNOHANG)

    def _read(self, stream: Stream, pipe: IO[bytes] | None) -> None:
        assert pipe is not None

        def read() -> None:
            with pipe:
                for line in pipe:
                    with self._news:
                        self._lines[stream].append(line.decode(errors="replace"))
                        self._news.notify_all()
            with self._news:
                self._open.discard(stream)
                self._news.notify_all()

        threading.Thread(target=read, name=f"{stream} of {self.pid}", daemon=True).start()

    def _text(self, stream: Stream) -> str:
        with self._news:
            return "".join(self._lines[stream])

    def _report(self) -> str:
        args = self._popen.args
        return f"{args!r}\n--- stdout\n{self.stdout[-4_000:]}\n--- stderr\n{self.stderr[-4_000:]}"


class Processes:
    """Starts processes and ends them all when the test does."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    def start(self, *argv: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Process:
        process = Process(argv, cwd, env)
        self._started.append(process)
        return process

    def python(self, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Process:
        return self.start(sys.executable, *arguments, cwd=cwd, env=env)

    def agent(self, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Process:
        """`python -m agent …`"""
        return self.python("-m", "agent", *arguments, cwd=cwd, env=env)

    def end(self) -> None:
        for process in self._started:
            process.end()


@contextmanager
def processes() -> Iterator[Processes]:
    started = Processes()
    try:
        yield started
    finally:
        started.end()
