"""SIGTERM under load: turns end or are stored as resumable, and the next `agent serve` ends those."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import aiohttp

from agent.offline.faults import Fault
from agent.offline.gates import Gate
from agent.offline.server import OfflineModel
from tests.support import books
from tests.support.processes import Processes
from tests.support.supervised import Client, Supervised, serve, session, status_of
from tests.support.until import until

CLIENTS = 40
DRAIN = 1.0


async def test_turns_under_way_are_ended(tmp_path: Path, processes: Processes) -> None:
    """Meanwhile nobody is let in, and who asks whether it is ready is told."""
    with OfflineModel.in_thread() as model:
        gate = hold(model)
        serving = serve(processes, tmp_path, model, "--workers", "2", service={"drain_seconds": 60})
        async with session() as http:
            clients, asking = asked(http, serving)
            await asyncio.to_thread(model.log.wait, lambda log: log.count() == CLIENTS)
            serving.process.send_signal(signal.SIGTERM)
            await draining(serving, 2)
            assert await status_of(http, serving.root, "/readyz") == (503, {"status": "draining"})
            assert await status_of(http, serving.root, "/healthz") == (200, {"status": "ok"})
            late = Client(serving.root, "late")
            assert not await late.try_once(http)
            assert late.refused == ["draining"]
            gate.release()
            await asyncio.gather(*asking)
        assert await asyncio.to_thread(serving.process.wait, 20) == 0
    assert [(client.cut, client.refused) for client in clients] == [(0, [])] * CLIENTS
    turns = books.table(serving.store, "turn")
    assert sorted(str(turn["id"]) for turn in turns) == sorted(client.turn for client in clients)
    assert {(turn["outcome"], turn["epoch"]) for turn in turns} == {("answered", 1)}


async def test_what_does_not_end_in_time_goes_on_in_the_next_one(tmp_path: Path, processes: Processes) -> None:
    with OfflineModel.in_thread() as model:
        gate = hold(model)
        serving = serve(processes, tmp_path, model, "--workers", "2", service={"drain_seconds": DRAIN})
        async with session() as http:
            clients, asking = asked(http, serving, once=True)
            await asyncio.to_thread(model.log.wait, lambda log: log.count() == CLIENTS)
            asked_to_end = time.monotonic()
            serving.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(serving.process.wait, 30) == 0
            took = time.monotonic() - asked_to_end
            await asyncio.gather(*asking)
        assert took < DRAIN + 6
        assert all(client.refused == ["draining"] and client.cut == 0 for client in clients)
        left = books.table(serving.store, "turn")
        assert len(left) == CLIENTS
        assert all(turn["outcome"] is None for turn in left)
        assert books.table(serving.store, "hold") == []
        gate.release()
        again = serve(processes, tmp_path, model, "--workers", "2")
        async with session() as http:
            for client in clients:
                client.root = again.root
            await asyncio.gather(*(client.ask(http) for client in clients))
    turns = books.table(again.store, "turn")
    assert sorted(str(turn["id"]) for turn in turns) == sorted(client.turn for client in clients)
    assert {turn["outcome"] for turn in turns} == {"answered"}
    assert {books.said(turn) for turn in turns} == {client.answer for client in clients}
    assert books.replay(again.store) == []


def hold(model: OfflineModel) -> Gate:
    model.faults.push(Fault("gate", "held", times=CLIENTS))
    return model.gates.named("held")


def asked(
    http: aiohttp.ClientSession, serving: Supervised, *, once: bool = False
) -> tuple[list[Client], list[asyncio.Task[bool]]]:
    clients = [Client(serving.root, f"k{n}", stream=n % 2 == 0) for n in range(CLIENTS)]
    return clients, [asyncio.create_task(client.try_once(http) if once else client.ask(http)) for client in clients]


async def draining(serving: Supervised, workers: int) -> None:
    await until(lambda: sum("ending" in str(line["message"]) for line in serving.log()) == workers)
