"""`/metrics` on a port of its own, served by a thread: the event loop has no part in a scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_OPENMETRICS: Final = "application/openmetrics-text"


class WithoutCreated(Collector):
    """The text format has no creation times: there they would be as many series again."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        for family in self._collector.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class MetricsServer:
    """Serves until closed. `port` is the one it got, also where it was asked for port 0."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.port: int = server.server_address[1]
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def serve_metrics(collector: Collector, port: int, addr: str = "127.0.0.1") -> MetricsServer:
    """Serve `collector` (a registry) on `addr`. OpenMetrics, with exemplars, for clients that accept it.
    Raises OSError where the port cannot be had."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            body = encode(collector if content_type.startswith(_OPENMETRICS) else WithoutCreated(collector))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no news."""

    return MetricsServer(ThreadingHTTPServer((addr, port), Handler))
