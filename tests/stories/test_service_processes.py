"""A running service is given another configuration, and loses its supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from agent.offline.server import OfflineModel
from tests.support.processes import Processes
from tests.support.supervised import Client, Supervised, gone, serve, session, status_of
from tests.support.until import until

LOAD = 8


async def test_a_new_configuration_comes_into_force_and_nobody_notices(tmp_path: Path, processes: Processes) -> None:
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model, "--workers", "2")
        before = serving.workers
        async with session() as http:
            async with loaded(http, serving) as clients:
                add_agent(tmp_path)
                serving.hang_up()
                await until(lambda: said(serving, "was replaced") == 2)
                await until(lambda: all(gone(pid) for pid in before))
                for _ in range(10):
                    assert (await status_of(http, serving.root, "/v1/models/second"))[0] == 200
            assert clients
            # One that was given out to a worker that ended meanwhile is asked again, and that is all.
            assert sum(client.cut for client in clients) == 0
            assert {code for client in clients for code in client.refused} <= {"draining"}
        assert len(serving.workers) == 2


async def test_a_worker_that_was_replaced_takes_nobody_in(tmp_path: Path, processes: Processes) -> None:
    """For as long as it has turns under way; who is connected to it without a request comes to its successor."""
    with OfflineModel.in_thread() as model:
        gate = model.gate()
        serving = serve(processes, tmp_path, model)
        [replaced] = serving.workers
        async with session() as http, aiohttp.ClientSession() as connected:
            under_way = Client(serving.root, "k1")
            asking = asyncio.create_task(under_way.try_once(http))
            await asyncio.to_thread(gate.wait_arrived)
            assert (await status_of(connected, serving.root, "/readyz"))[0] == 200
            serving.hang_up()
            await until(lambda: said(serving, "ending: 1 turns") == 1)
            for _ in range(20):
                assert await status_of(http, serving.root, "/readyz") == (200, {"status": "ready"})
                assert await status_of(connected, serving.root, "/readyz") == (200, {"status": "ready"})
            assert replaced in serving.workers
            gate.release()
            assert await asking
        await until(lambda: replaced not in serving.workers)


async def test_a_bad_configuration_changes_nothing(tmp_path: Path, processes: Processes) -> None:
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model, "--workers", "2")
        before = serving.workers
        async with session() as http:
            async with loaded(http, serving) as clients:
                (tmp_path / "config/agents.yaml").write_text("wrong: 1")
                serving.hang_up()
                await until(lambda: said(serving, "can't be replaced") == 1)
            assert clients
            assert {(client.cut, *client.refused) for client in clients} == {(0,)}
        assert "agents.yaml:1:1" in serving.process.stderr
        assert serving.workers == before
        serving.hang_up()  # once more, so that there is time for what must not happen
        await until(lambda: said(serving, "can't be replaced") == 2)
        assert said(serving, "ending: ") == 0
        assert serving.workers == before


async def test_workers_without_a_supervisor_end(tmp_path: Path, processes: Processes) -> None:
    """The turn under way gets its time."""
    with OfflineModel.in_thread() as model:
        gate = model.gate()
        serving = serve(processes, tmp_path, model, "--workers", "2")
        workers = serving.workers
        async with session() as http:
            client = Client(serving.root, "k1")
            asking = asyncio.create_task(client.try_once(http))
            await asyncio.to_thread(gate.wait_arrived)
            serving.process.kill()
            await until(lambda: said(serving, "the supervisor has gone") == 2)
            gate.release()
            assert await asking
        await until(lambda: all(gone(pid) for pid in workers))


async def test_a_machine_without_room_loses_no_other_worker(tmp_path: Path, processes: Processes) -> None:
    """A dead worker can't be started again, nor the other one replaced, until there is room."""
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model, "--workers", "2")
        killed, other = serving.workers
        before, most = resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE, (3, most))
        serving.hang_up()
        await until(lambda: said(serving, "can't be replaced") == 1)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: said(serving, "could not be started") == 1)
        assert serving.workers == [other]
        async with session() as http:
            assert await Client(serving.root, "k1").ask(http)
        resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE, (before, most))
        await until(lambda: len(serving.workers) == 2)
        assert other in serving.workers


@asynccontextmanager
async def loaded(http: aiohttp.ClientSession, serving: Supervised) -> AsyncIterator[list[Client]]:
    """Somebody always asks meanwhile; who asked, and has been answered at the end."""
    clients: list[Client] = []
    ending = asyncio.Event()

    async def ask(n: int) -> None:
        while not ending.is_set():
            clients.append(Client(serving.root, f"{n}-{len(clients)}", stream=n % 2 == 0))
            await clients[-1].ask(http)

    asking = [asyncio.create_task(ask(n)) for n in range(LOAD)]
    yield clients
    ending.set()
    await asyncio.gather(*asking)


def add_agent(folder: Path) -> None:
    file = folder / "config/agents.yaml"
    agents = json.loads(file.read_text())
    agents["agents"]["second"] = agents["agents"]["desk"]
    file.write_text(json.dumps(agents))


def said(serving: Supervised, words: str) -> int:
    return sum(words in str(line["message"]) for line in serving.log())
