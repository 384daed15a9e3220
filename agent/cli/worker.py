"""The program of one worker process of `agent serve`; only its supervisor starts it.

    python -m agent.cli.worker PLAN

PLAN is JSON (`agent.service.plan`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path

from agent.cli.common import opened
from agent.cli.failures import told
from agent.cli.run import Signals, run
from agent.service.plan import Plan

_THE_SUPERVISORS = frozenset({signal.SIGINT, signal.SIGHUP})
"""What a terminal sends to all of its processes; only the supervisor answers."""


def main(arguments: list[str]) -> int:
    """Runs a worker to its end; its exit code: 0, 2 for what an operator can put right, or `DECLARED_DEAD`."""
    plan = Plan.read(arguments[0])
    for fd in plan.fds:
        os.set_inheritable(fd, False)  # programs that tools start must not keep a port open
    signal.pthread_sigmask(signal.SIG_SETMASK, _THE_SUPERVISORS)
    _take_all_files()
    return told(False, lambda: run(lambda signals: _serve(plan, signals)))


def _take_all_files() -> None:
    """As many open files as the system lets it have: with the usual 1,024, so many silent clients keep all others out,
    and a turn takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # macOS takes no "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(plan: Plan, signals: Signals) -> int:
    from agent.service import worker
    from agent.settings import from_env
    from telemetry import logs

    logs.configure(plan.log_level)
    async with opened(from_env(Path(plan.config), os.environ), take_over=True) as app:
        return await worker.serve(plan, app, lambda: signals.received is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
