"""The scrape port, asked as Prometheus asks."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from telemetry.metrics import Metrics
from telemetry.scrape import MetricsServer, Unhurried, serve_metrics, serve_metrics_on
from tests.support.until import until
from tests.telemetry.samples import ATTEMPT, EXEMPLAR, KNOWN


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    registry = CollectorRegistry()
    Metrics(registry, KNOWN).attempt(ATTEMPT, EXEMPLAR)
    server = serve_metrics(registry, 0)
    yield server
    server.close()


def get(server: MetricsServer, accept: str, path: str = "/metrics") -> tuple[str, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_openmetrics_has_exemplars_and_creation_times(server: MetricsServer) -> None:
    content_type, body = get(server, "application/openmetrics-text;version=1.0.0,text/plain;q=0.1")
    assert content_type.startswith("application/openmetrics-text")
    assert EXEMPLAR["trace_id"] in body
    assert "agent_cost_usd_created" in body
    assert body.endswith("# EOF\n")


def test_text_has_neither(server: MetricsServer) -> None:
    content_type, body = get(server, "text/plain")
    assert content_type.startswith("text/plain")
    assert "agent_cost_usd_total" in body
    assert EXEMPLAR["trace_id"] not in body
    assert "_created" not in body


def test_there_is_nothing_else(server: MetricsServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(server, "*/*", "/etc/passwd")


def test_on_a_socket_that_listens_already() -> None:
    """A supervisor has bound it for its worker."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    server = serve_metrics_on(CollectorRegistry(), sock)
    assert server.port == port
    assert get(server, "text/plain")[0].startswith("text/plain")
    server.close()
    assert sock.fileno() == -1


def test_many_series_are_written_with_pauses_for_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("telemetry.scrape.time.sleep", pauses.append)
    registry = CollectorRegistry()
    counter = Counter("many", "Many.", ["n"], registry=registry)
    for n in range(500):
        counter.labels(n).inc()
    families = list(Unhurried(registry).collect())
    assert pauses == []
    assert sum(sample.name == "many_total" for family in families for sample in family.samples) == 500
    assert len(pauses) >= 10
    assert all(0 < pause < 0.01 for pause in pauses)


def _asked() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


async def test_a_scraper_that_has_gone_is_no_news(
    server: MetricsServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as scraper:
        scraper.sendall(b"GET /met")
        await until(lambda: bool(_asked()))
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: not _asked())
    assert (capfd.readouterr().err, caplog.messages) == ("", [])


def test_a_scrape_that_fails_is_a_line_in_the_log(
    server: MetricsServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        get(server, "application/openmetrics-text; version=\xff")
    assert capfd.readouterr().err == ""
    assert [message.partition(":")[0] for message in caplog.messages] == ["a scrape failed"]
