"""A worker that is killed or frozen with turns under way: another one ends each of them, once, and whoever asks again
gets the answer. The provider's log, the ledger and what the API says of the turns agree."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.service.worker import DECLARED_DEAD
from tests.support import books
from tests.support.books import Value, number
from tests.support.processes import Processes
from tests.support.supervised import Client, Supervised, gone, serve, session, status_of
from tests.support.until import until

CLIENTS = 50
LEASE = 4.0
GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """Turns under way: half of them streamed, half of these within their answer, the others before it."""

    clients: list[Client]
    asking: list[asyncio.Task[bool]]

    @property
    def cut(self) -> int:
        return sum(client.cut for client in self.clients)


def load(http: aiohttp.ClientSession, root: str) -> Load:
    clients = [Client(root, f"k{n}", stream=n % 2 == 0) for n in range(CLIENTS)]
    return Load(clients, [asyncio.create_task(client.ask(http)) for client in clients])


def hold(model: OfflineModel) -> None:
    """Half of the requests before their answer, half of them after three pieces of it."""
    for _ in range(CLIENTS // 2):
        model.faults.push(Fault("gate", "held"), Fault("gate", "held@3"))


@pytest.mark.timeout(60)
async def test_a_worker_is_killed(tmp_path: Path, processes: Processes) -> None:
    with OfflineModel.in_thread() as model:
        hold(model)
        serving = serve(processes, tmp_path, model, "--workers", "2", lease_seconds=LEASE)
        async with session() as http:
            asked = load(http, serving.root)
            await asyncio.to_thread(model.log.wait, lambda log: log.count() == CLIENTS, 30)
            killed = serving.busiest
            os.kill(killed, signal.SIGKILL)
            at = time.time()
            await until(lambda: asked.cut)
            model.gates.named("held").release()
            await asyncio.gather(*asked.asking)
            await until(lambda: len(serving.workers) == 2)
            assert killed not in serving.workers
            await check(http, serving, model, asked, at)
    assert any("died (exit code -9)" in str(line["message"]) for line in serving.log())


@pytest.mark.timeout(60)
async def test_a_worker_is_frozen_beyond_its_lease(tmp_path: Path, processes: Processes) -> None:
    """Nobody hears from it until it comes back; then it ends, its clients ask again, and there is a new one."""
    with OfflineModel.in_thread() as model:
        hold(model)
        serving = serve(processes, tmp_path, model, "--workers", "2", lease_seconds=LEASE)
        async with session() as http:
            asked = load(http, serving.root)
            await asyncio.to_thread(model.log.wait, lambda log: log.count() == CLIENTS, 30)
            frozen = serving.busiest
            await freeze(frozen, serving.store)
            at = time.time()
            model.gates.named("held").release()
            await until(lambda: all(turn["outcome"] for turn in books.table(serving.store, "turn")), 0.05)
            assert any(not task.done() for task in asked.asking)
            before = books.table(serving.store, "turn", "id")
            os.kill(frozen, signal.SIGCONT)
            await asyncio.gather(*asked.asking)
            await until(lambda: gone(frozen))
            await until(lambda: len(serving.workers) == 2)
            assert books.table(serving.store, "turn", "id") == before
            await check(http, serving, model, asked, at)
    assert any(f"exit code {DECLARED_DEAD}" in str(line["message"]) for line in serving.log())


async def freeze(pid: int, store: Path) -> None:
    """Not within a transaction: all that write to this file would wait for its end."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(store, timeout=0.5)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.05)


async def check(
    http: aiohttp.ClientSession, serving: Supervised, model: OfflineModel, asked: Load, stopped: float
) -> None:
    """Every turn has ended once, within the lease and `GRACE` seconds, and all say the same of it."""
    turns = {str(turn["id"]): turn for turn in books.table(serving.store, "turn")}
    assert sorted(turns) == sorted(client.turn for client in asked.clients)
    assert {turn["outcome"] for turn in turns.values()} == {"answered"}
    over = [turn for turn in turns.values() if turn["epoch"] != 1]
    assert over
    assert {turn["epoch"] for turn in over} == {3}
    assert max(number(turn["ended_at"]) / 1e6 - stopped for turn in over) < LEASE + GRACE
    await until(lambda: books.table(serving.store, "hold") == [], 0.05)  # those of the dead end by themselves
    await asyncio.to_thread(model.log.wait, lambda log: log.count("arrived") == 0)
    ledger = books.table(serving.store, "ledger")
    known = {row["attempt"] for row in ledger if row["kind"] != "expiry"}
    # What was held when its process stopped may have left or not: it is charged at its bound.
    assert len(known) <= model.log.count() <= len({row["attempt"] for row in ledger})
    costs: Counter[Value] = Counter()
    for row in ledger:
        costs[row["turn"]] += number(row["cost"])
    for client in asked.clients:
        status, told = await status_of(http, client.root, f"/v1/turns/{client.turn}")
        assert (status, told["state"], told["outcome"]) == (200, "done", "answered")
        assert (told["text"], told["cost_nano_usd"]) == (client.answer, costs[client.turn])
    assert books.replay(serving.store) == []
    assert books.chain_faults(serving.store) == []
