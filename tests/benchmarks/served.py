"""`python -m tests.benchmarks.served`: many streamed turns at once through `agent serve`, against as many bare loops.

The bare loops and a single worker have a core of their own; model and clients share the other one, and with a second
worker it as well: more workers than cores to spare show nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.program import written
from tests.support.supervised import children


class Crowd:
    """Clients in a process of their own."""

    def __init__(self, stack: ExitStack, what: str, base_url: str, clients: int, turns: int, cpu: int) -> None:
        command = (sys.executable, "-m", "tests.benchmarks.crowd", what, base_url, str(clients), str(turns))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.enter_context(self.process)  # ends at the end of its stdin
        os.sched_setaffinity(self.process.pid, {cpu})
        self.rounds: list[Mapping[str, float]] = []
        self._heard()

    def round(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.rounds.append(json.loads(self._heard()))

    def _heard(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        raise SystemExit("the clients have died")

    def median(self, figure: str) -> float:
        return statistics.median(each[figure] for each in self.rounds)


class Service:
    """`agent serve` with so many workers; `memory` of the largest in MiB."""

    def __init__(self, stack: ExitStack, model: str, workers: int, clients: int) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = written(folder / "config", f"{model}/v1", f"sqlite:///{folder}/store.db?synchronous=NORMAL", model)
        (folder / "config" / "service.yaml").write_text(f"turns: {clients}\nwaiting: {clients}\n")
        command = ("-m", "agent", "--log-level", "info", "serve", "--port", "0", "--metrics-port", "0")
        self.process = subprocess.Popen(
            (sys.executable, *command, "--workers", str(workers)),
            env=os.environ | env | {"AGENT_CONFIG": str(folder / "config")},
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._end)
        self.url = self._serving()
        self.workers = children(self.process.pid)
        for cpu, worker in enumerate(self.workers):
            os.sched_setaffinity(worker, {cpu % (os.cpu_count() or 1)})
        self.at_rest = self.memory()

    def memory(self, key: str = "VmRSS") -> float:
        """Of the largest worker, in MiB; `VmHWM`: at most so far."""
        texts = (Path(f"/proc/{worker}/status").read_text() for worker in self.workers)
        return max(int(text.split(f"{key}:")[1].split()[0]) for text in texts) / 1024

    def _serving(self) -> str:
        assert self.process.stderr
        for line in self.process.stderr:
            if found := re.search(r"serving at (http://\S*/v1) ", line):
                threading.Thread(target=self.process.stderr.read, daemon=True).start()  # or it would wait to log
                return found[1]
        raise SystemExit("the service did not start")

    def _end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def main(clients: int, turns: int, rounds: int, latency: float, workers: list[int]) -> None:
    with ExitStack() as stack:
        command = (sys.executable, "-m", "tests.benchmarks.fake_model", str(latency))
        fake = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        os.sched_setaffinity(fake.pid, {1})
        assert fake.stdout
        model = f"http://127.0.0.1:{fake.stdout.readline().strip()}"
        services = {count: Service(stack, model, count, clients) for count in workers}
        crowds = {"bare loop": Crowd(stack, "bare", f"{model}/v1", clients, turns, cpu=0)}
        for count, service in services.items():
            crowds[f"{count} worker(s)"] = Crowd(stack, "served", service.url, clients, turns, cpu=1)
        for _ in range(rounds):
            for crowd in crowds.values():
                crowd.round()
        bare = crowds["bare loop"]
        print(f"{clients:,} clients, {turns} streamed turns each, {latency:g} s a call; median of {rounds} rounds")
        for title, crowd in crowds.items():
            rate, p50, p99 = (crowd.median(figure) for figure in ("rate", "p50", "p99"))
            ratios = f"rate × {rate / bare.median('rate'):.2f}, p99 × {p99 / bare.median('p99'):.2f}"
            print(f"{title:12}{rate:8.0f} turns/s   p50 {p50:6.2f} s   p99 {p99:6.2f} s   {ratios}")
        for count, service in services.items():
            each = (service.memory("VmHWM") - service.at_rest) * 1024 / clients * count
            print(
                f"{count} worker(s): {service.at_rest:.0f} MiB at rest, at most {service.memory('VmHWM'):.0f}:", end=" "
            )
            print(f"{each:.0f} KiB for an open turn; now {service.memory():.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.served", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3, help="of each client in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.2, help="of a model call, in seconds")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    main(asked.clients, asked.turns, asked.rounds, asked.latency, asked.workers)
