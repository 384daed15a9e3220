"""The collectors, servers and processes that other tests stand on do what they say, against the real parts."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.request import urlopen

import aiohttp
import grpc  # type: ignore[import-untyped]
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AnyValue
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.exposition import generate_latest

from tests.support import otlp
from tests.support.network import NetworkClosed, closed_network
from tests.support.processes import Process, Processes
from tests.support.prometheus import Prometheus, promtool_problems
from tests.support.received import Received
from tests.support.servers import require
from tests.support.signals import Histogram as HistogramValue
from tests.support.signals import Span
from tests.support.tree import render

# --- collectors ----------------------------------------------------------------------------------------------------

SCHEMA = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
Exporters = tuple[SpanExporter, MetricExporter, LogRecordExporter]


def emit(exporters: Exporters) -> None:
    """One span in another, a counter, a histogram and an event, through the SDK."""
    spans, metrics, logs = exporters
    resource = Resource({"service.name": "support"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)], resource)
    loggers = LoggerProvider(resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))

    tracer = tracers.get_tracer("scope", schema_url=SCHEMA)
    with tracer.start_as_current_span("parent", kind=SpanKind.CLIENT) as parent:
        meter = meters.get_meter("scope", schema_url=SCHEMA)
        meter.create_counter("tokens", "{token}").add(7, {"model": "m"})
        meter.create_histogram("wait", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0]).record(0.5)
        body: AnyValue = {"role": "user", "parts": [{"type": "text", "content": "wifi"}]}
        loggers.get_logger("scope", schema_url=SCHEMA).emit(
            LogRecord(event_name="happened", severity_number=SeverityNumber.WARN, attributes={"message": body})
        )
        with tracer.start_as_current_span("child") as child:
            child.set_attributes(
                {"s": "text", "i": 1, "f": 0.5, "b": True, "l": ["stop", "length"], "error.type": "429"}
            )
            child.add_event("agent.retry", {"error.type": "429"})
            child.set_status(Status(StatusCode.ERROR, "failed"))
        parent.set_attribute("answer", 42)
    for provider in (tracers, meters, loggers):
        provider.shutdown()


def check_all_arrived(collector: Received) -> None:
    collector.wait_for(lambda c: len(c.spans) == 2 and len(c.metrics) == 2 and c.logs)
    child, parent = collector.spans
    assert (child.name, child.kind, child.status, child.status_message) == ("child", "INTERNAL", "ERROR", "failed")
    assert child.attributes == {"s": "text", "i": 1, "f": 0.5, "b": True, "l": ["stop", "length"], "error.type": "429"}
    assert type(child.attributes["i"]) is int
    assert [(event.name, event.attributes) for event in child.events] == [("agent.retry", {"error.type": "429"})]
    assert (child.parent_id, child.trace_id) == (parent.span_id, parent.trace_id)
    assert (parent.kind, parent.status, parent.parent_id) == ("CLIENT", "UNSET", "")
    assert parent.start <= child.start <= child.end <= parent.end
    assert (parent.scope_name, parent.scope_schema_url) == ("scope", SCHEMA)
    assert parent.resource["service.name"] == "support"

    tokens, wait = collector.metrics["tokens"], collector.metrics["wait"]
    assert (tokens.kind, tokens.unit, tokens.scope_schema_url) == ("counter", "{token}", SCHEMA)
    assert [(point.attributes, point.value) for point in tokens.points] == [({"model": "m"}, 7)]
    assert [point.value for point in wait.points] == [HistogramValue(1, 0.5, (0.1, 1.0), (0, 1, 0))]
    assert wait.points[0].exemplars[0].trace_id == parent.trace_id

    (log,) = collector.logs
    assert (log.event_name, log.severity, log.trace_id) == ("happened", "WARN", parent.trace_id)
    assert log.attributes == {"message": {"role": "user", "parts": [{"type": "text", "content": "wifi"}]}}
    assert b"agent.retry" in collector.raw


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_http_collector_decodes_what_the_sdk_sends(otlp_http: Received, compression: Compression) -> None:
    url = otlp_http.endpoint
    emit(
        (
            HttpSpanExporter(f"{url}/v1/traces", compression=compression, headers={"x-key": "k"}),
            HttpMetricExporter(f"{url}/v1/metrics", compression=compression),
            HttpLogExporter(f"{url}/v1/logs", compression=compression),
        )
    )
    check_all_arrived(otlp_http)
    assert {request.headers.get("x-key") for request in otlp_http.requests if request.signal == "traces"} == {"k"}


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_collector_decodes_what_the_sdk_sends(otlp_grpc: Received, compression: grpc.Compression) -> None:
    url = otlp_grpc.endpoint
    emit(
        (
            GrpcSpanExporter(url, insecure=True, compression=compression),
            GrpcMetricExporter(url, insecure=True, compression=compression),
            GrpcLogExporter(url, insecure=True, compression=compression),
        )
    )
    check_all_arrived(otlp_grpc)


def test_collector_is_found_by_the_standard_variable(otlp_http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_http.endpoint)
    emit((HttpSpanExporter(), HttpMetricExporter(), HttpLogExporter()))
    check_all_arrived(otlp_http)


def test_of_a_cumulative_series_the_latest_point_counts(otlp_http: Received) -> None:
    reader = PeriodicExportingMetricReader(
        HttpMetricExporter(f"{otlp_http.endpoint}/v1/metrics"), export_interval_millis=3_600_000
    )
    provider = MeterProvider([reader])
    counter = provider.get_meter("scope").create_counter("tokens")
    for series in ("a", "b", "a"):
        counter.add(1, {"series": series})
        provider.force_flush()
    provider.shutdown()
    values = {str(point.attributes["series"]): point.value for point in otlp_http.metrics["tokens"].points}
    assert values == {"a": 2, "b": 1}


def post(collector: Received, body: bytes = b"", *, timeout: float = 5.0) -> tuple[int, str | None, bytes]:
    host, port = collector.endpoint.removeprefix("http://").split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=timeout)) as connection:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def call(collector: Received, *, timeout: float = 5.0) -> grpc.StatusCode:
    with grpc.insecure_channel(collector.endpoint.removeprefix("http://")) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        try:
            export(b"", timeout=timeout)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_http_modes() -> None:
    with otlp.otlp_http("slow", delay=0.01) as collector:
        assert post(collector)[0] == 200
        collector.mode = "503"
        assert post(collector)[0] == 503
        collector.mode = "garbage"
        assert post(collector) == (200, "text/html", otlp.GARBAGE)
        collector.mode = "hang"
        with pytest.raises(TimeoutError):
            post(collector, timeout=0.05)
        assert len(collector.requests) == 4
    with otlp.otlp_http("refuse") as collector, pytest.raises(ConnectionRefusedError):
        post(collector)


def test_grpc_modes() -> None:
    with otlp.otlp_grpc("slow", delay=0.01) as collector:
        assert call(collector) == grpc.StatusCode.OK
        collector.mode = "503"
        assert call(collector) == grpc.StatusCode.UNAVAILABLE
        collector.mode = "hang"
        assert call(collector, timeout=0.05) == grpc.StatusCode.DEADLINE_EXCEEDED
    with otlp.otlp_grpc("refuse") as collector:
        assert call(collector) == grpc.StatusCode.UNAVAILABLE


def test_grpc_garbage_fails_the_sdk_s_exporter(caplog: pytest.LogCaptureFixture) -> None:
    with otlp.otlp_grpc("garbage") as collector, caplog.at_level(logging.ERROR):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(GrpcSpanExporter(collector.endpoint, insecure=True)))
        provider.get_tracer("scope").start_span("lost").end()
        provider.shutdown()
        assert b"lost" in collector.raw
        assert collector.spans == ()
    assert caplog.records


def test_what_is_no_otlp_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="DecodeError"),
        otlp.otlp_http() as collector,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        post(collector, b"\xff\xff not protobuf")


def test_waiting_in_vain_says_what_came(otlp_http: Received) -> None:
    with pytest.raises(AssertionError, match="0 spans"):
        otlp_http.wait_for(lambda c: c.spans, timeout=0.01)


# --- span trees ----------------------------------------------------------------------------------------------------


def test_a_tree_is_the_same_whichever_parallel_tool_started_first() -> None:
    def span(id: str, parent: str, name: str, start: int, end: int, **attributes: str) -> Span:
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        return Span(name, "INTERNAL", "t", id, parent, {**named}, start=start, end=end)

    def tree(first: int, second: int) -> str:
        return render(
            [
                span("4", "1", "execute_tool b", second, 30, gen_ai__tool__call__id="call_2"),
                span("3", "1", "execute_tool b", first, 25, gen_ai__tool__call__id="call_1"),
                span("5", "1", "chat m", 31, 40),
                span("2", "1", "chat m", 1, 9),
                span("1", "outside", "invoke_agent a", 0, 50, agent__outcome="answered"),
            ]
        )

    assert tree(10, 11) == tree(11, 10)
    assert tree(10, 11).splitlines() == [
        "invoke_agent a INTERNAL agent.outcome=answered",
        "  chat m INTERNAL",
        "  execute_tool b INTERNAL gen_ai.tool.call.id=call_1",
        "  execute_tool b INTERNAL gen_ai.tool.call.id=call_2",
        "  chat m INTERNAL",
    ]


def test_a_tree_shows_errors_and_events(otlp_http: Received) -> None:
    emit(
        (
            HttpSpanExporter(f"{otlp_http.endpoint}/v1/traces"),
            HttpMetricExporter(f"{otlp_http.endpoint}/v1/metrics"),
            HttpLogExporter(f"{otlp_http.endpoint}/v1/logs"),
        )
    )
    assert render(otlp_http.spans, keys=("l", "answer")).splitlines() == [
        "parent CLIENT answer=42",
        "  child INTERNAL ERROR 429 l=stop,length",
        "    * agent.retry 429",
    ]


# --- Prometheus ----------------------------------------------------------------------------------------------------


@contextmanager
def serving(registry: CollectorRegistry) -> Iterator[str]:
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_prometheus_scrapes(prometheus: Callable[..., Prometheus]) -> None:
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["model"], registry=registry)
    calls.labels("m").inc(3, exemplar={"trace_id": "ab" * 16})
    Histogram("wait_seconds", "Waiting.", registry=registry, unit="seconds").observe(0.5)
    with serving(registry) as address:
        server = prometheus(address)
        server.wait_scraped()
        check_scraped(server)
        calls.labels("m").inc()
        server.wait_scraped()
        assert server.value('calls_total{model="m"}') == 4
    with pytest.raises(AssertionError, match="connection refused"):
        server.wait_scraped(timeout=1)


def check_scraped(server: Prometheus) -> None:
    assert server.value('calls_total{model="m"}') == 3
    assert server.value("sum(wait_seconds_count)") == 1
    assert server.query("scalar(vector(2))")[0].value == 2
    assert server.query("absent_metric") == []
    (exemplar,) = server.query_exemplars("calls_total")
    assert (exemplar.labels, exemplar.value, exemplar.series["model"]) == ({"trace_id": "ab" * 16}, 3, "m")
    with pytest.raises(AssertionError, match="parse error"):
        server.query("calls{")


def test_promtool_finds_what_is_wrong_with_a_name() -> None:
    registry = CollectorRegistry()
    Counter("calls", "Calls.", registry=registry)
    assert promtool_problems(generate_latest(registry).decode()) == []
    bad = "# HELP waitMilliseconds Waiting.\n# TYPE waitMilliseconds counter\nwaitMilliseconds 1\n"
    assert promtool_problems(bad) != []


def test_a_missing_program_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        require("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        require("no-such-program")
    assert require("sh") == shutil.which("sh")


# --- processes -----------------------------------------------------------------------------------------------------

ECHO = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print('got', line, end='', flush=True)\n"


def stopped(process: Process) -> bool:
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_a_process_is_spoken_with(processes: Processes) -> None:
    process = processes.python("-c", ECHO)
    process.wait_for_line("ready")
    process.send("one\n")
    assert process.wait_for_line("got (.*)")[1] == "one"
    process.close_stdin()
    assert process.wait() == 0
    assert process.stdout == "ready\ngot one\n"


def test_a_process_is_frozen_thawed_and_killed(processes: Processes) -> None:
    process = processes.python("-c", ECHO)
    process.wait_for_line("ready")
    for _ in range(2):
        process.freeze()
        assert stopped(process)
        process.thaw()
        assert not stopped(process)
    process.send("still there\n")
    process.wait_for_line("still there")
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_line_that_never_comes_shows_what_came(processes: Processes) -> None:
    process = processes.python("-c", "import sys; print('out'); sys.exit('the reason')")
    with pytest.raises(AssertionError, match="the reason"):
        process.wait_for_line("ready")


def test_a_dead_process_cannot_be_frozen(processes: Processes) -> None:
    process = processes.python("-c", "")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(AssertionError, match="ended"):
        process.freeze()
    assert process.wait() == 0


def test_children_of_a_process_end_with_the_test() -> None:
    started = Processes()
    parent = started.python(
        "-c",
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', \"print('child', flush=True); input()\"])\n"
        "child.wait()",
    )
    parent.wait_for_line("child")
    started.end()
    assert parent.wait() == -signal.SIGKILL  # and nobody holds its output any more


# --- the closed network and the environment ------------------------------------------------------------------------


def test_a_connection_that_would_leave_the_machine_is_refused_and_remembered() -> None:
    with closed_network() as attempts:
        with socket.socket() as outside, pytest.raises(NetworkClosed):
            outside.connect(("192.0.2.1", 443))
        with socket.socket() as outside, pytest.raises(NetworkClosed):
            outside.connect_ex(("192.0.2.1", 80))
        with pytest.raises(OSError, match=r"api\.example"):
            urlopen("https://api.example/v1", timeout=1)
    assert attempts == ["192.0.2.1:443", "192.0.2.1:80", "api.example:443"]


async def test_async_clients_are_held_back_too() -> None:
    with closed_network() as attempts:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get("https://192.0.2.1/")
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get("https://api.example/")
    assert attempts == ["192.0.2.1:443", "api.example:443"]


def test_loopback_stays_open(otlp_http: Received) -> None:
    with closed_network() as attempts:
        assert post(otlp_http, b"")[0] == 200
        port = int(otlp_http.endpoint.rpartition(":")[2])
        with closing(socket.create_connection(("localhost", port), timeout=5)):
            pass
    assert attempts == []


def test_a_swallowed_attempt_still_fails_its_test(network_attempts: list[str]) -> None:
    with socket.socket() as outside, pytest.raises(NetworkClosed):
        outside.connect(("192.0.2.1", 443))
    assert network_attempts == ["192.0.2.1:443"]  # what the fixture would fail this test for
    network_attempts.clear()


def test_the_environment_is_clean() -> None:
    assert [name for name in os.environ if name.startswith(("OPENAI_", "OTEL_"))] == []
