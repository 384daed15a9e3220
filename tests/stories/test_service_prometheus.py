"""Debian's Prometheus finds the workers in the file that the service writes, and counts on through their restarts."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from itertools import count
from pathlib import Path
from urllib.request import urlopen

import pytest

from agent.offline.server import OfflineModel
from tests.support.processes import Processes
from tests.support.prometheus import Prometheus, prometheus
from tests.support.received import Received
from tests.support.supervised import Client, Supervised, gone, serve, session
from tests.support.until import until

TURNS = 'agent_turns_total{job="test"}'


@pytest.mark.timeout(90)
async def test_sums_are_right_through_restarts(tmp_path: Path, processes: Processes, otlp_http: Received) -> None:
    env = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model, "--workers", "2", env=env)
        with prometheus(serving.targets, tmp_path) as scraping:
            asked = await both_work(serving)
            await scraped(scraping)
            assert scraping.value(f"sum({TURNS})") == asked
            killed = serving.workers[0]
            os.kill(killed, signal.SIGKILL)
            await until(lambda: gone(killed) and len(serving.workers) == 2)
            asked += await both_work(serving)
            await scraped(scraping)
            before = serving.workers
            serving.hang_up()
            await until(lambda: all(map(gone, before)))
            asked += await both_work(serving)
            await scraped(scraping)
            check_counts(scraping, asked)
            exemplars = scraping.query_exemplars('{job="test"}')
        serving.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.process.wait, 30) == 0
    known = {(span.trace_id, span.span_id) for span in otlp_http.spans}
    assert {each.labels["trace_id"] for each in exemplars} > set()
    # Spans of the killed worker that it had not exported yet are lost with it; there is no other that is unknown.
    unknown = [each for each in exemplars if (each.labels["trace_id"], each.labels["span_id"]) not in known]
    assert {each.series["worker"] for each in unknown} <= {"0"}
    assert len(unknown) < len(exemplars)


async def both_work(serving: Supervised) -> int:
    """Asks until each worker has ended a turn more; how many were asked."""
    before = [turns(port) for port in serving.scraped]
    async with session() as http:
        for n in count(1):
            await Client(serving.root, os.urandom(8).hex()).ask(http)
            now = [turns(port) for port in serving.scraped]
            if all(after != start and after for start, after in zip(before, now, strict=True)):
                return n
    raise AssertionError


def turns(port: int) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        found = re.findall(r"^agent_turns_total\{.*\} (\S+)", response.read().decode(), re.MULTILINE)
    return sum(map(float, found))


async def scraped(scraping: Prometheus) -> None:
    """Both workers, after this was called."""
    await asyncio.to_thread(scraping.wait_scraped)


def check_counts(scraping: Prometheus, asked: int) -> None:
    series = scraping.history(TURNS)
    counted: Counter[str] = Counter()
    resets: Counter[str] = Counter()
    for each in series:
        counted[each.labels["worker"]] += int(each.counted)
        resets[each.labels["worker"]] += each.resets
    assert sum(counted.values()) == asked
    # One that was killed and replaced, one that was replaced: two processes at one port in turn would show as more.
    assert resets["0"] + resets["1"] <= 3
    assert min(counted.values()) > 0
