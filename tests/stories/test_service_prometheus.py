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

MANY = 20
"""Turns of a worker before it is replaced: a counter that has caught up when it is scraped again looks like none that
began anew, to any Prometheus."""

MEANWHILE = 8
TURNS = 'agent_turns_total{job="test"}'


@pytest.mark.timeout(90)
async def test_sums_are_right_through_restarts(tmp_path: Path, processes: Processes, otlp_http: Received) -> None:
    env = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model, "--workers", "2", env=env)
        with prometheus(serving.targets, tmp_path) as scraping:
            asked = await both_reach(MANY, serving)
            await scraped(scraping)
            assert scraping.value(f"sum({TURNS})") == asked
            killed = serving.workers[0]
            await until(lambda: {each.trace_id for each in otlp_http.spans} >= traces(serving), 0.05)
            os.kill(killed, signal.SIGKILL)
            await until(lambda: gone(killed) and len(serving.workers) == 2)
            asked += await both_reach(1, serving, scraping)
            asked += await both_reach(MANY, serving)
            await scraped(scraping)
            asked += await replaced(serving, model, scraping)
            asked += await both_reach(1, serving, scraping)
            await scraped(scraping)
            check_counts(scraping, asked)
            exemplars = scraping.query_exemplars('{job="test"}')
        serving.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.process.wait, 30) == 0
    known = {(span.trace_id, span.span_id) for span in otlp_http.spans}
    shown = {(each.labels["trace_id"], each.labels["span_id"]) for each in exemplars}
    assert shown
    assert shown <= known


async def replaced(serving: Supervised, model: OfflineModel, scraping: Prometheus) -> int:
    """One of those that are replaced lingers, and is scraped until it ends; how many turns there were."""
    before = serving.workers
    gate = model.gate()
    async with session() as http:
        lingering = asyncio.create_task(Client(serving.root, "lingering").ask(http))
        await asyncio.to_thread(gate.wait_arrived)
        serving.hang_up()
        await until(lambda: sum("was replaced" in str(line["message"]) for line in serving.log()) == 2)
        for n in range(MEANWHILE):
            await Client(serving.root, f"meanwhile-{n}").ask(http)
            await asyncio.to_thread(scraping.wait_scraped, 1)
        gate.release()
        await lingering
    await until(lambda: all(map(gone, before)))
    return 1 + MEANWHILE


async def both_reach(least: int, serving: Supervised, scraping: Prometheus | None = None) -> int:
    """Asks until each worker has ended so many turns, scraped after each of them; how many were asked."""
    async with session() as http:
        for n in count(1):
            await Client(serving.root, os.urandom(8).hex()).ask(http)
            if scraping:
                await asyncio.to_thread(scraping.wait_scraped, 1)
            if min(map(turns, serving.scraped)) >= least:
                return n
    raise AssertionError


def turns(port: int) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        found = re.findall(r"^agent_turns_total\{.*\} (\S+)", response.read().decode(), re.MULTILINE)
    return sum(map(float, found))


def traces(serving: Supervised) -> set[str]:
    """What a killed worker has not exported yet would be lost with it."""
    return {trace for line in serving.log() for trace in re.findall(r"trace=([0-9a-f]{32})", str(line["message"]))}


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
    # What a worker counts in its last moments is in the ledger alone.
    assert asked - 1 <= sum(counted.values()) <= asked
    # One that was killed and replaced, one that was replaced: two processes at one port in turn would show as more.
    assert resets == {"0": 2, "1": 1}
