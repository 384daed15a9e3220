"""Collectors on loopback: real OTLP over HTTP and over gRPC, decoded, well-behaved or not."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.support.received import Mode, Received, Request, Signal
from tests.support.servers import LOOPBACK, refusing_port

if TYPE_CHECKING:
    import grpc  # type: ignore[import-untyped]

GARBAGE = b"<html>\xff\xfe not OTLP </html>"


@contextmanager
def otlp_http(mode: Mode = "ok", *, delay: float = 0.5) -> Iterator[Received]:
    """A collector at `/v1/traces`, `/v1/metrics`, `/v1/logs`. `delay` in seconds is that of the mode `slow`.

    Raises AssertionError at the end if anything arrived that was no OTLP.
    """
    with ExitStack() as stack:
        if mode == "refuse":
            port = stack.enter_context(refusing_port())
            yield Received(f"http://{LOOPBACK}:{port}", mode, delay)
            return
        server = stack.enter_context(_HttpServer((LOOPBACK, 0), _Handler))
        received = server.received = Received(f"http://{LOOPBACK}:{server.server_address[1]}", mode, delay)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="otlp-http")
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        stack.callback(received.close)
        yield received
        assert not received.problems, received.problems


@contextmanager
def otlp_grpc(mode: Mode = "ok", *, delay: float = 0.5) -> Iterator[Received]:
    """The same over gRPC, without TLS."""
    import grpc

    with ExitStack() as stack:
        if mode == "refuse":
            port = stack.enter_context(refusing_port())
            yield Received(f"http://{LOOPBACK}:{port}", mode, delay)
            return
        pool = stack.enter_context(ThreadPoolExecutor(16, thread_name_prefix="otlp-grpc"))
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        received = Received(f"http://{LOOPBACK}:{port}", mode, delay)
        server.add_generic_rpc_handlers(tuple(_service(received, signal) for signal in _SERVICES))
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        stack.callback(received.close)
        yield received
        assert not received.problems, received.problems


# --- HTTP ----------------------------------------------------------------------------------------------------------

_PATHS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}


class _HttpServer(ThreadingHTTPServer):
    received: Received
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    timeout = 30

    def do_POST(self) -> None:
        received = self.server.received
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signal = _PATHS.get(self.path)
        if signal is None or self.headers["Content-Type"] != "application/x-protobuf":
            received.problems.append(f"{self.path} of content type {self.headers['Content-Type']}")
            return self._answer(404)
        headers = {name.lower(): value for name, value in self.headers.items()}
        received.accept(Request(signal, headers, _decompressed(body, headers.get("content-encoding"))))
        return self._behave(received)

    def _behave(self, received: Received) -> None:
        match received.mode:
            case "hang":
                received.closing.wait()
            case "garbage":
                self._answer(200, GARBAGE, "text/html")
            case "503":
                self._answer(503)
            case _:
                if received.mode == "slow":
                    received.closing.wait(received.delay)
                self._answer(200)

    def _answer(self, status: int, body: bytes = b"", content_type: str = "application/x-protobuf") -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # the exporter has given up or was killed: its affair

    def log_message(self, format: str, *args: object) -> None:
        pass


def _decompressed(body: bytes, encoding: str | None) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


# --- gRPC ----------------------------------------------------------------------------------------------------------

_SERVICES: dict[Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


def _service(received: Received, signal: Signal) -> grpc.GenericRpcHandler:
    import grpc

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        received.accept(Request(signal, headers, body))
        if received.mode == "hang":
            received.closing.wait()
        if received.mode == "slow":
            received.closing.wait(received.delay)
        if received.mode == "503":
            context.abort(grpc.StatusCode.UNAVAILABLE, "unavailable")
        return GARBAGE if received.mode == "garbage" else b""

    # Without (de)serializers messages are bytes: the same code decodes them as over HTTP.
    return grpc.method_handlers_generic_handler(
        _SERVICES[signal], {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )
