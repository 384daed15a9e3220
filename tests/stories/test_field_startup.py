"""Nothing is fetched at import or start: litellm#9787, cuga-agent#513, pods without internet that hung and crashed.

A process of its own, in which whatever leaves loopback is written down and refused before it is sent.
"""

from __future__ import annotations

import os
from hashlib import sha1
from pathlib import Path

import pytest

from agent.models.estimate import _SOURCE
from tests.support.processes import Processes

GUARD = """
import ipaddress, socket, sys

def refuse(event, arguments):
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
        host = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "", "localhost") and not host.startswith(("127.", "::1")):
        print("LEFT", event, host, flush=True)
        raise OSError("the network is closed")

sys.addaudithook(refuse)
"""

IMPORT_ALL = """
import importlib, pkgutil, agent, telemetry
walked = (pkgutil.walk_packages(package.__path__, package.__name__ + ".") for package in (agent, telemetry))
found = [module.name for modules in walked for module in modules]
for name in found:
    if not name.endswith(("__main__", ".migrations.env")) and ".versions." not in name:
        importlib.import_module(name)
print("IMPORTED", len(found))
"""

RUN = """
import asyncio, pathlib, sys
from agent.app import App
from agent.models.estimate import count
from agent.settings import Settings

async def main():
    async with App.open(Settings(config=pathlib.Path(sys.argv[1]), env={})) as app:
        print("ANSWERED", (await app.ask("My laptop will not connect to wifi.")).outcome)
    print("COUNTED", count("four"))

asyncio.run(main())
"""


@pytest.fixture(name="cache", params=["empty", "corrupt", "missing"])
def _cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "tiktoken"
    if request.param != "missing":
        folder.mkdir()
    if request.param == "corrupt":
        (folder / sha1(_SOURCE.encode()).hexdigest()).write_bytes(b"half a fi")
    return folder


def test_importing_everything_fetches_nothing(processes: Processes) -> None:
    process = processes.python("-c", GUARD + IMPORT_ALL)
    assert process.wait(60) == 0, process.stderr
    assert "IMPORTED" in process.stdout
    assert "LEFT" not in process.stdout


def test_starting_and_answering_fetches_nothing(processes: Processes, cache: Path) -> None:
    """With the price list, the shipped configuration and a token count; a corrupt encoding is left as it is, because
    tiktoken would delete it and wait for another."""
    before = sorted(cache.iterdir()) if cache.exists() else None
    config = Path(__file__).parents[2] / "config"
    env = {"TIKTOKEN_CACHE_DIR": os.fspath(cache)}
    process = processes.python("-c", GUARD + RUN, os.fspath(config), env=env)
    assert process.wait(60) == 0, process.stderr
    assert process.stdout.split() == ["ANSWERED", "answered", "COUNTED", "4"]  # bytes, as there is no encoding
    assert (sorted(cache.iterdir()) if cache.exists() else None) == before


def test_the_guard_sees_what_leaves(processes: Processes) -> None:
    process = processes.python("-c", GUARD + "import urllib.request\nurllib.request.urlopen('http://prices.invalid/')")
    assert process.wait(60) != 0
    assert "LEFT socket.getaddrinfo prices.invalid" in process.stdout
