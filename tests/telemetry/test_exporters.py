"""Signals on their way out: over real HTTP and gRPC, to collectors that behave and that don't."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from telemetry.exporters import Telemetry, setup
from tests.support.otlp import otlp_http
from tests.support.received import Mode, Received
from tests.support.signals import Histogram
from tests.telemetry.samples import ATTEMPT, CALL, KNOWN

ROOT = Path(__file__).parents[2]


def started(env: dict[str, str]) -> Telemetry:
    return setup(env, version="1.2.3", known=KNOWN)


def record(telemetry: Telemetry, error_type: str | None = None) -> str:
    """One call, in every signal; its trace id."""
    with telemetry.spans.chat(CALL) as span:
        span.finish(ATTEMPT)
        if error_type is not None:
            span.fail(error_type)
    telemetry.metrics.attempt(ATTEMPT, span.exemplar)
    return span.trace_id


def dropped(telemetry: Telemetry) -> dict[tuple[str, str], float]:
    return {
        (s.labels["agent_signal"], s.labels["agent_reason"]): s.value
        for family in telemetry.registry.collect()
        for s in family.samples
        if s.name == "agent_telemetry_dropped_total"
    }


@pytest.fixture(params=["http/protobuf", "grpc"])
def collector(request: pytest.FixtureRequest) -> tuple[Received, dict[str, str]]:
    received = request.getfixturevalue("otlp_grpc" if request.param == "grpc" else "otlp_http")
    return received, {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": request.param}


def test_all_signals_arrive(collector: tuple[Received, dict[str, str]]) -> None:
    received, env = collector
    telemetry = started(env)
    trace_id = record(telemetry, error_type="timeout")
    assert telemetry.flush()

    (span,) = received.spans
    (log,) = received.logs
    duration = received.metrics["gen_ai.client.inference.duration"]
    cost = received.metrics["agent.cost.usd"]
    assert (span.name, span.trace_id) == (f"chat {CALL.model}", trace_id)
    assert (log.event_name, log.trace_id, log.span_id) == (
        "gen_ai.client.operation.exception",
        trace_id,
        span.span_id,
    )
    assert isinstance(duration.points[0].value, Histogram)
    assert duration.points[0].value.count == 1
    assert duration.points[0].exemplars[0].trace_id == trace_id
    assert (cost.kind, cost.unit, cost.points[0].value) == ("counter", "{USD}", 0.000002)
    assert cost.points[0].exemplars[0].span_id == span.span_id
    telemetry.shutdown()


def test_resource_and_scope(otlp_http: Received) -> None:
    telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint})
    record(telemetry, error_type="timeout")
    telemetry.shutdown()
    metric = otlp_http.metrics["agent.cost.usd"]
    for resource in (otlp_http.spans[0].resource, otlp_http.logs[0].resource, metric.points[0].resource):
        assert resource["service.name"] == "agent"
        assert resource["service.version"] == "1.2.3"
        assert resource["service.instance.id"] == otlp_http.spans[0].resource["service.instance.id"]
    schemas = {otlp_http.spans[0].scope_schema_url, otlp_http.logs[0].scope_schema_url, metric.scope_schema_url}
    assert schemas == {"https://opentelemetry.io/schemas/gen-ai/0.1.0"}


def test_the_environment_names_the_service(otlp_http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "helpdesk-eu")
    telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint})
    record(telemetry)
    telemetry.shutdown()
    assert otlp_http.spans[0].resource["service.name"] == "helpdesk-eu"


def test_without_a_collector_nothing_is_exported_and_ids_are_real() -> None:
    telemetry = started({})
    with telemetry.spans.invoke_agent("helpdesk", "turn-1") as turn, telemetry.spans.chat(CALL) as call:
        call.finish(ATTEMPT)
    assert telemetry.pipelines == ()
    assert turn.trace_id == call.trace_id
    assert len({turn.span_id, call.span_id, "0" * 16}) == 3
    assert int(turn.trace_id, 16) > 0
    assert call.exemplar is None


def test_a_disabled_sdk_exports_nothing(otlp_http: Received) -> None:
    telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint, "OTEL_SDK_DISABLED": "true"})
    record(telemetry)
    telemetry.shutdown()
    assert otlp_http.requests == ()


@pytest.mark.parametrize("mode", ["refuse", "503"])
def test_a_failing_collector_costs_what_was_for_it_and_is_counted(mode: Mode) -> None:
    with otlp_http(mode) as received:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"})
        record(telemetry, error_type="timeout")
        telemetry.flush()
        assert dropped(telemetry)["traces", "export_failed"] == 1
        assert dropped(telemetry)["logs", "export_failed"] == 1
        telemetry.shutdown()


def test_export_goes_on_when_the_collector_comes_back() -> None:
    with otlp_http("503") as received:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"})
        record(telemetry)
        telemetry.flush()
        received.mode = "ok"
        later = record(telemetry)
        assert telemetry.flush()
        assert [span.trace_id for span in received.spans] == [later]
        telemetry.shutdown()


def test_a_full_queue_drops_and_counts_and_nobody_waits() -> None:
    with otlp_http("hang") as received:
        telemetry = started(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
                "OTEL_BSP_MAX_QUEUE_SIZE": "8",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
            }
        )
        for _ in range(4):
            record(telemetry)
        received.wait_for(lambda r: any(request.signal == "traces" for request in r.requests))
        for _ in range(20):  # four are under way, eight fit, twelve don't
            record(telemetry)
        assert dropped(telemetry)["traces", "queue_full"] == 12
        telemetry.shutdown(timeout=0.1)
        assert dropped(telemetry)["traces", "shutdown"] == 12  # eight that waited, four that hung at the exporter


def test_memory_is_bounded_while_the_collector_hangs() -> None:
    import tracemalloc

    with otlp_http("hang") as received:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint})
        record(telemetry, error_type="timeout")
        tracemalloc.start()
        for _ in range(3_000):  # the queue holds 2,048: more make no difference
            record(telemetry, error_type="timeout")
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        telemetry.shutdown(timeout=0.1)
    assert grown < 32 * 1024 * 1024


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_process_ends_within_five_seconds_of_a_hanging_collector(protocol: str) -> None:
    """Invariant 7's figure, on the whole process: nothing that the SDK left running may hold it either."""
    from tests.support.otlp import otlp_grpc

    with (otlp_grpc if protocol == "grpc" else otlp_http)("hang") as received:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
        }
        program = (
            "import os, time\n"
            "from tests.telemetry.test_exporters import record, started\n"
            "telemetry = started(dict(os.environ))\n"
            "record(telemetry, 'timeout')\n"
            "print(time.time(), flush=True)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **env}, cwd=ROOT, capture_output=True, timeout=60
        )
        ended = time.time()
    assert done.returncode == 0, done.stderr
    assert ended - float(done.stdout) < 5.5  # five, and the interpreter's own end
    assert {request.signal for request in received.requests} == {"traces", "metrics", "logs"}


def test_what_comes_after_the_end_is_dropped_and_counted(otlp_http: Received) -> None:
    telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint})
    telemetry.shutdown()
    record(telemetry)
    assert dropped(telemetry)["traces", "shutdown"] == 1
    telemetry.shutdown()


def test_a_fork_loses_nothing_and_doubles_nothing(otlp_http: Received) -> None:
    """Parent and child each export what each recorded, as two instances; the child's counters begin at zero."""
    program = (
        "import json, os\n"
        "from tests.telemetry.test_exporters import record, started\n"
        "telemetry = started(dict(os.environ))\n"
        "before = record(telemetry)\n"
        "child = os.fork()\n"
        "mine = record(telemetry)\n"
        "telemetry.shutdown()\n"
        "if child: os.waitpid(child, 0)\n"
        "print(json.dumps([bool(child), before, mine]), flush=True)\n"
    )
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (_, before, parents), (_, _, childs) = sorted((json.loads(x) for x in done.stdout.splitlines()), reverse=True)
    assert sorted(s.trace_id for s in otlp_http.spans) == sorted([before, parents, childs])
    counts = [p.value for p in otlp_http.metrics["agent.cost.usd"].points]
    assert set(counts) == {0.000002, 0.000004}
    assert len({s.resource["service.instance.id"] for s in otlp_http.spans}) == 2


def test_an_exporter_that_raises_does_not_end_the_export() -> None:
    from telemetry.batch import Batcher
    from telemetry.destination import Queue

    class Exporter:
        def __init__(self) -> None:
            self.got: list[str] = []

        def export(self, batch: list[str]) -> object:
            if batch == ["bad"]:
                raise RuntimeError("canary")
            self.got += batch
            return type("Result", (), {"name": "SUCCESS"})

        def shutdown(self) -> None:
            raise RuntimeError("canary")

    lost: list[tuple[str, str, int]] = []
    exporter = Exporter()
    batcher: Batcher[str] = Batcher(
        "traces",
        lambda: exporter,  # type: ignore[arg-type, return-value]
        lambda *what: lost.append(what),
        Queue(size=10, batch=1, interval=60),
    )
    for item in ("bad", "good"):
        batcher.put(item)
        assert batcher.worker.flush(10)
    batcher.worker.stop()
    batcher.close(10)
    assert exporter.got == ["good"]
    assert lost == [("traces", "export_failed", 1)]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_where_nobody_listens_is_said_once_and_the_sdk_does_not_try(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    record(telemetry, error_type="timeout")
    telemetry.shutdown()
    assert [record.getMessage() for record in caplog.records] == [
        f"telemetry is lost: nobody listens at 127.0.0.1:{port}"
    ]
    assert dropped(telemetry) == {
        (signal, "export_failed"): 1 for signal in ("traces", "logs", "metrics")
    }  # given up at once, not at the end's own limit


def test_the_sdks_complaints_come_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    before = threading.active_count()
    with otlp_http("refuse") as received:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"})
        for _ in range(3):
            record(telemetry, error_type="timeout")
            telemetry.flush()
        telemetry.shutdown()
    names = [r.name for r in caplog.records]
    assert len(names) == len(set(names))
    assert threading.active_count() - before < 10
