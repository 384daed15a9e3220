"""What every test can count on: a closed network, a clean environment, and the collectors and servers of `support`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support import network, otlp, processes, prometheus
from tests.support.received import Received


@pytest.fixture(scope="session", autouse=True)
def network_attempts() -> Iterator[list[str]]:
    """Where the tests tried to go beyond loopback."""
    with network.closed_network() as attempts:
        yield attempts


@pytest.fixture(autouse=True)
def _nothing_left_the_machine(network_attempts: list[str]) -> Iterator[None]:
    """A call that could cost money fails its test even where the code under test got over the refusal."""
    network_attempts.clear()
    yield
    assert network_attempts == []


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "OTEL_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(name="otlp_http")
def _otlp_http() -> Iterator[Received]:
    with otlp.otlp_http() as received:
        yield received


@pytest.fixture(name="otlp_grpc")
def _otlp_grpc() -> Iterator[Received]:
    with otlp.otlp_grpc() as received:
        yield received


@pytest.fixture(name="processes")
def _processes() -> Iterator[processes.Processes]:
    with processes.processes() as started:
        yield started


@pytest.fixture(name="prometheus")
def _prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., prometheus.Prometheus]]:
    """`prometheus("127.0.0.1:9464", …)` starts a server that scrapes these."""
    with ExitStack() as running:

        def start(*targets: str) -> prometheus.Prometheus:
            return running.enter_context(prometheus.prometheus(targets, tmp_path_factory.mktemp("prometheus")))

        yield start
