"""`agent serve`, as processes of its own: how it starts, why it does not, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from agent.cli.main import main
from agent.offline.server import OfflineModel
from tests.support.processes import Processes
from tests.support.supervised import Client, gone, serve, session, status_of
from tests.support.until import until

STOPS = [signal.SIGINT, signal.SIGTERM]
NOWHERE = ("--port", "0", "--metrics-port", "0")


@pytest.mark.parametrize("number", STOPS)
async def test_it_serves_until_it_is_stopped(
    tmp_path: Path, server: OfflineModel, processes: Processes, number: signal.Signals
) -> None:
    serving = serve(processes, tmp_path, server, "--workers", "2")
    workers = serving.workers
    assert len(workers) == 2
    async with session() as http:
        client = Client(serving.root, "k1")
        await client.ask(http)
        assert client.answer
        assert await status_of(http, serving.root, "/readyz") == (200, {"status": "ready"})
        for port in serving.scraped:
            async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert "agent_turns_total" in await response.text()
        turns = [await counted(http, port) for port in serving.scraped]
    assert sum(turns) == 1
    assert json.loads(serving.targets.read_text()) == [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"worker": str(n)}} for n, port in enumerate(serving.scraped)
    ]
    serving.process.send_signal(number)
    assert serving.process.wait(20) == 0
    assert all(gone(pid) for pid in workers)
    assert "Traceback" not in serving.process.stderr
    assert serving.process.stdout == ""


async def counted(http: aiohttp.ClientSession, port: int) -> float:
    async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("agent_turns_total{"))


async def test_ctrl_c_goes_to_all_and_counts_once(tmp_path: Path, server: OfflineModel, processes: Processes) -> None:
    """A terminal sends it to the workers, too, to which the supervisor says that they are to end. A second one ends
    the turn's time."""
    gate = server.gate()
    serving = serve(processes, tmp_path, server, service={"drain_seconds": 60})
    async with session() as http:
        client = Client(serving.root, "k1")
        (worker,) = serving.workers
        asking = asyncio.create_task(client.try_once(http))
        await gate.arrived()
        os.kill(worker, signal.SIGINT)
        for _ in range(5):
            assert await status_of(http, serving.root, "/readyz") == (200, {"status": "ready"})
        os.killpg(serving.process.pid, signal.SIGINT)
        await until(lambda: any("ending" in str(line["message"]) for line in serving.log()))
        assert await status_of(http, serving.root, "/readyz") == (503, {"status": "draining"})
        gate.release()
        assert await asking
    assert serving.process.wait(20) == 0
    assert gone(worker)


async def test_a_second_signal_ends_it_at_once(tmp_path: Path, server: OfflineModel, processes: Processes) -> None:
    gate = server.gate()
    serving = serve(processes, tmp_path, server, service={"drain_seconds": 3000})
    async with session() as http:
        asking = asyncio.create_task(Client(serving.root, "k1").try_once(http))
        await gate.arrived()
        serving.process.send_signal(signal.SIGTERM)
        await until(lambda: any("ending" in str(line["message"]) for line in serving.log()))
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(20) == 0
        assert not await asking
    gate.release()


def refused(processes: Processes, *options: str, env: dict[str, str] | None = None) -> str:
    process = processes.agent("serve", *options, env={"OTEL_SDK_DISABLED": "true", **(env or {})})
    assert process.wait(30) == 2
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    return process.stderr


@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
def test_a_port_is_taken(config: Path, processes: Processes, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(processes, *NOWHERE, option, port)
    assert said == f"{option} {port}: 127.0.0.1: Address already in use\n"


def test_there_is_no_such_port(config: Path, processes: Processes) -> None:
    said = refused(processes, "--port", "0", "--metrics-port", "65535", "--workers", "2")
    assert said == "--metrics-port: there is no port 65536\n"


def test_there_is_no_such_host(config: Path, processes: Processes) -> None:
    (config / "keys.yaml").write_text(f"keys: [{{name: a, tenant: a, sha256: {'a' * 64}}}]")
    said = refused(processes, *NOWHERE, "--host", "no-such-host.invalid")
    assert said.startswith("--port 0: no-such-host.invalid: ")
    assert "while" not in said


def test_a_key_variable_is_missing(config: Path, processes: Processes) -> None:
    models = json.loads((config / "models.yaml").read_text())
    models["models"]["small"]["api_key_env"] = "SOME_KEY"
    (config / "models.yaml").write_text(json.dumps(models))
    assert "SOME_KEY" in refused(processes, *NOWHERE)


def test_the_stand_in_is_labelled(tmp_path: Path, processes: Processes) -> None:
    """Its answers look like a model's: whoever forgot the key must not find out from them."""
    env = {"AGENT_CONFIG": "config", "AGENT_STORE": f"sqlite:///{tmp_path / 'store.db'}", "OPENAI_API_KEY": ""}
    process = processes.agent("serve", *NOWHERE, "--metrics-targets", str(tmp_path / "targets.json"), env=env)
    process.wait_for_line("serving at", "stderr", 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    [said] = [json.loads(line) for line in process.stderr.splitlines() if line.startswith("{")]
    assert said["level"] == "warning"
    assert said["message"] == (
        "agent helpdesk: the offline stand-in answers, not a real model; set OPENAI_API_KEY to ask gpt-6-luna"
    )


def test_the_store_is_newer(config: Path, tmp_path: Path, processes: Processes, server: OfflineModel) -> None:
    serving = serve(processes, tmp_path, server)
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(20) == 0
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    said = refused(processes, *NOWHERE, "--workers", "2")
    assert said.count("store.db: the store has schema 9999") == 1


@pytest.mark.parametrize("file", ["agents.yaml", "keys.yaml", "service.yaml"])
def test_a_file_is_wrong(config: Path, processes: Processes, file: str) -> None:
    (config / file).write_text("wrong: 1\n")
    said = refused(processes, *NOWHERE, "--workers", "2")
    assert said.count(f'{file}:1:1: wrong: found the key "wrong"') == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_nobody_is_let_in_from_elsewhere_without_a_key(config: Path, processes: Processes, host: str) -> None:
    assert "agent keys new" in refused(processes, *NOWHERE, "--host", host)


def test_the_file_of_targets_can_not_be_written(config: Path, tmp_path: Path, processes: Processes) -> None:
    (tmp_path / "file").touch()
    said = refused(processes, *NOWHERE, "--metrics-targets", str(tmp_path / "file/targets.json"))
    assert "--metrics-targets" in said


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("agent serve --workers 4", "curl", "agent keys new", "SIGHUP", "--metrics-targets"):
        assert word in said
