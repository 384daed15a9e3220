"""Where signals go, variable by variable."""

from __future__ import annotations

import pytest

from telemetry.destination import Destination, destination, number
from telemetry.metrics import Signal

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


@pytest.mark.parametrize(
    ("env", "signal", "endpoint"),
    [
        (BASE, "traces", "http://collector:4318/v1/traces"),
        (BASE, "logs", "http://collector:4318/v1/logs"),
        (
            {**BASE, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://other:9/here"},
            "metrics",
            "http://other:9/here",
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "traces", "http://localhost:4318/v1/traces"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "traces",
            "http://localhost:4317",
        ),
        ({**BASE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "traces", "http://collector:4318/"),
    ],
)
def test_endpoints(env: dict[str, str], signal: Signal, endpoint: str) -> None:
    to = destination(env, signal)
    assert to is not None
    assert to.endpoint == endpoint


@pytest.mark.parametrize(
    "env",
    [
        {},
        {**BASE, "OTEL_TRACES_EXPORTER": "none"},
        {**BASE, "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"},
    ],
)
def test_not_exported(env: dict[str, str]) -> None:
    assert destination(env, "traces") is None


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_endpoint_without_a_scheme_is_refused(variable: str) -> None:
    with pytest.raises(ValueError, match=rf"^{variable}='127.0.0.1:4318': expected a URL"):
        destination({variable: "127.0.0.1:4318"}, "traces")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://me:canary@host"}, "ENDPOINT='ftp://…@host': expected a URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "host?key=canary"}, r"ENDPOINT='host\?…': expected a URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host?key=canary"}, "ENDPOINT: expected a URL without a query"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Basic canary=="}, "OTLP_HEADERS: .* header 1 is none"),
        ({"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=b, canary"}, "TRACES_HEADERS: .* header 2 is none"),
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_shown(env: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        destination({**BASE, **env}, "traces")
    assert "canary" not in str(refused.value)


def test_a_key_in_the_right_place() -> None:
    """A signal's own endpoint is used as it is."""
    url = "http://host/v1/traces?key=canary"
    headers = "authorization=Basic%20QTpC==, x-team = a b ,"
    to = destination({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": headers}, "traces")
    assert to is not None
    assert to.endpoint == url


def test_a_signal_has_its_own_protocol_and_timeout() -> None:
    env = {
        **BASE,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1.5",
    }
    assert destination(env, "traces") == Destination("grpc", "http://collector:4318/", 7)
    assert destination(env, "logs") == Destination("http/protobuf", "http://collector:4318/v1/logs", 1.5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan"),
    ],
)
def test_what_is_not_understood_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{variable}='{value}': expected"):
        destination({**BASE, variable: value}, "traces")


def test_numbers_have_defaults() -> None:
    assert number({}, "X", 5) == 5
    assert number({"X": " 6 "}, "X", 5) == 6
