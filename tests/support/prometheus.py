"""Debian's real Prometheus scraping what a test serves, and promtool's opinion of it."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

from tests.support.processes import Process, Processes, processes
from tests.support.servers import LOOPBACK, require

Json: TypeAlias = Any
"""As the server's API sends it."""

JOB = "test"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant query's result; `labels` has `__name__` where the query keeps it."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class History:
    """A series and its samples, the oldest first."""

    labels: dict[str, str]
    values: list[float]

    @property
    def resets(self) -> int:
        """How often a counter began anew."""
        return sum(after < before for before, after in pairwise(self.values))

    @property
    def counted(self) -> float:
        """What a counter has counted in all, over its resets."""
        return sum(after if after < before else after - before for before, after in pairwise([0.0, *self.values]))


@dataclass(frozen=True, slots=True)
class StoredExemplar:
    """`labels` are the exemplar's own (`trace_id`, …), `series` those of what it belongs to."""

    series: dict[str, str]
    labels: dict[str, str]
    value: float


class Prometheus:
    """A running server. Its API is asked directly; errors of a query are AssertionErrors with the server's words."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self._port = port

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def query(self, promql: str) -> list[Sample]:
        """An instant query, now. A scalar is one sample without labels."""
        data = self._get("query", query=promql)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(series["metric"], float(series["value"][1])) for series in data["result"]]

    def value(self, promql: str) -> float:
        """The value of a query that has exactly one."""
        samples = self.query(promql)
        assert len(samples) == 1, f"{promql}: {samples}"
        return samples[0].value

    def history(self, selector: str, over: str = "1h") -> list[History]:
        """Each series that was there in this time, with all of its samples."""
        data = self._get("query", query=f"{selector}[{over}]")
        return [History(each["metric"], [float(value) for _, value in each["values"]]) for each in data["result"]]

    def query_exemplars(self, promql: str) -> list[StoredExemplar]:
        """Every exemplar of the last hour."""
        now = time.time()
        data = self._get("query_exemplars", query=promql, start=str(now - 3600), end=str(now + 60))
        return [
            StoredExemplar(series["seriesLabels"], exemplar["labels"], float(exemplar["value"]))
            for series in data
            for exemplar in series["exemplars"]
        ]

    def wait_scraped(self, n: int = 2, timeout: float = 30.0) -> None:
        """Returns once every target was scraped `n` more times with success. With two, one began after the call."""
        wanted = self._scrapes() + n
        deadline = time.monotonic() + timeout
        # Prometheus tells nobody that it has scraped: asking again is all that there is.
        pause = threading.Event()
        while self._scrapes() < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"not scraped {n} times within {timeout} s: {self._get('targets')}")
            pause.wait(0.05)

    def _scrapes(self) -> float:
        samples = self.query(f'min(sum_over_time(up{{job="{JOB}"}}[1d]))')
        return samples[0].value if samples else 0.0

    def _get(self, path: str, **parameters: str) -> Json:
        with closing(http.client.HTTPConnection(LOOPBACK, self._port, timeout=10)) as connection:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def prometheus(targets: Sequence[str] | Path, directory: Path, interval: str = "200ms") -> Iterator[Prometheus]:
    """Scrapes `targets` (`host:port`, or the file that names them) every `interval`. Exemplars are stored. The test is
    skipped without it.

    The first scrape comes after 5 s, a constant of Prometheus 2.42: one server a test, and few such tests.
    """
    binary = require("prometheus")
    config = directory / "prometheus.yml"
    config.write_text(json.dumps(_config(targets, interval)))  # JSON is YAML
    with processes() as started:
        process = _start(started, binary, config, directory)
        port = int(process.wait_for_line(rf"Listening on.*{LOOPBACK}:(\d+)", "stderr")[1])
        process.wait_for_line("Server is ready to receive web requests", "stderr")
        yield Prometheus(process, port)


def _start(started: Processes, binary: str, config: Path, directory: Path) -> Process:
    return started.start(
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={LOOPBACK}:0",
        "--enable-feature=exemplar-storage",
        cwd=directory,
    )


def _config(targets: Sequence[str] | Path, interval: str) -> Json:
    if isinstance(targets, Path):
        found = {"file_sd_configs": [{"files": [str(targets)]}]}
    else:
        found = {"static_configs": [{"targets": list(targets)}]}
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "storage": {"exemplars": {"max_exemplars": 100_000}},
        "scrape_configs": [{"job_name": JOB, **found}],
    }


def promtool_problems(exposition: str) -> list[str]:
    """What `promtool check metrics` has to say of a text exposition: a line each, none if it is clean."""
    done = subprocess.run(
        [require("promtool"), "check", "metrics"], input=exposition, capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line]
