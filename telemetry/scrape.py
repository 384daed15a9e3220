"""`/metrics` on a port of its own, served by a thread: the event loop has no part in a scrape."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_log = logging.getLogger(__name__)

_SLICE: Final = 50
_PAUSE: Final = 0.001
"""Seconds after each slice of samples. The interpreter's lock is held for a slice (about a millisecond) at most, else a
turn would wait for it each time that it waits for anything: 140 ms in all while 10,000 series are written. With pauses
it is below ten, and the scrape takes half a second."""

_OPENMETRICS: Final = "application/openmetrics-text"


class WithoutCreated(Collector):
    """The text format has no creation times: there they would be as many series again."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        for family in self._collector.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Unhurried(list[Sample]):
    """Samples that are written slice by slice."""

    def __iter__(self) -> Iterator[Sample]:
        for place, sample in enumerate(super().__iter__()):
            if place % _SLICE == 0:
                time.sleep(_PAUSE)
            yield sample


class Unhurried(Collector):
    """The same families, at a pace that leaves the interpreter to the event loop."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        for family in self._collector.collect():
            family.samples = _Unhurried(family.samples)
            yield family


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Not as a traceback among the lines of the log; a scraper that has gone is no news."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _log.warning("a scrape failed: %r", error)


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
    return serve_metrics_on(collector, socket.create_server((addr, port)))


def serve_metrics_on(collector: Collector, sock: socket.socket) -> MetricsServer:
    """The same on a socket that listens already; closed with the server."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            shown = collector if content_type.startswith(_OPENMETRICS) else WithoutCreated(collector)
            body = encode(Unhurried(shown))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no news."""

    server = _Server(sock.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    return MetricsServer(server)
