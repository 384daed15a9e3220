"""`python -m tests.benchmarks [ROW …]`: ratios on this machine, now. Absolute times hold nowhere else.

Each row has a process of its own; chunks of all rows take turns, so that a machine's moods hit all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.benchmarks.rows import ROWS, Row

ROUNDS = 20
ENOUGH = 15
SLOW = 1.35
"""A chunk counts while the machine was at most so much slower than at its fastest."""


@dataclass
class Measured:
    """A row's process and its good chunks, in microseconds."""

    row: Row
    process: subprocess.Popen[str]
    chunks: list[dict[str, float]] = field(default_factory=list)

    def run(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{self.row.count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the row “{self.row.title}” has died")
        self.chunks.append(json.loads(line))

    def good(self, fastest: float) -> int:
        return sum(chunk["speed"] < SLOW * fastest for chunk in self.chunks)

    def median(self, figure: str, fastest: float) -> float:
        good = [chunk[figure] for chunk in self.chunks if chunk["speed"] < SLOW * fastest]
        return statistics.median(good or [chunk[figure] for chunk in self.chunks])


def started(stack: ExitStack, module: str, *arguments: str, cpu: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process.pid, {cpu})
    stack.enter_context(process)  # closes its stdin, at which it ends, and waits for it
    return process


def compared(measured: Mapping[str, Measured], one: Measured, fastest: float) -> str:
    row = one.row
    if row.shown == "rate":
        return f"{1e6 / one.median('wall', fastest):,.0f}/s"
    if row.against is None or row.against not in measured:
        return ""
    other = measured[row.against]
    if row.shown == "later":
        return f"+ {one.median('wall', fastest) - other.median('wall', fastest):,.0f} µs"
    return f"× {one.median(row.shown, fastest) / other.median(row.shown, fastest):.2f} ({row.shown})"


def table(measured: Mapping[str, Measured]) -> None:
    speeds = [chunk["speed"] for one in measured.values() for chunk in one.chunks]
    fastest = min(speeds)
    print(f"{'µs each':42}{'CPU':>8}{'wall':>8}   {'compared':14} goal")
    for one in measured.values():
        cpu, wall = one.median("cpu", fastest), one.median("wall", fastest)
        said = compared(measured, one, fastest)
        print(f"{one.row.title:42}{cpu:8.0f}{wall:8.0f}   {said:14} {one.row.goal}".rstrip())
    good = min(one.good(fastest) for one in measured.values())
    print(f"\nMedians over at least {good} of {ROUNDS} interleaved chunks. The machine was up to", end=" ")
    print(f"{max(speeds) / fastest:.1f} times slower than at its fastest; chunks beyond {SLOW} are left out.")
    if good < ENOUGH:
        print("Those are too few: something else is running here.")


def main(names: Sequence[str]) -> None:
    with ExitStack() as stack:
        model = started(stack, "fake_model", cpu=1)
        assert model.stdout
        url = f"http://127.0.0.1:{model.stdout.readline().strip()}"
        measured = {}
        for name in names:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            measured[name] = Measured(ROWS[name], started(stack, "worker", name, f"{url}/v1", url, folder, cpu=0))
        for round_number in range(ROUNDS + 1):
            for one in measured.values():
                one.run()
            if round_number == 0:  # warms up
                for one in measured.values():
                    one.chunks.clear()
        table(measured)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all of them unless told")
    main([name for name in parser.parse_args().rows if name in ROWS] or list(ROWS))
