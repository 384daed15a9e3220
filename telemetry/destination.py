"""Where a signal goes, as the `OTEL_*` variables say."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from telemetry.metrics import Signal
from telemetry.redaction import without_secrets

Protocol = Literal["http/protobuf", "grpc"]

_DEFAULT_SECONDS: Final = 3.0
"""Instead of the specification's 10 s: the end of a process waits for its last export."""

_HEADER_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


class Unreachable(Exception):
    """Nobody listens where a signal is to go; the message says where."""


@dataclass(frozen=True, slots=True)
class Destination:
    """`endpoint` is complete, path included. Headers, compression and certificates are read by the SDK's exporters
    themselves, from the process's environment."""

    protocol: Protocol
    endpoint: str
    timeout: float
    proxied: bool = False

    def knock(self) -> None:
        """Raises `Unreachable` where nobody listens: the SDK's exporters would try for all of `timeout`, and the end of
        a process waits for them. Behind a proxy nobody can tell; whatever else is wrong is theirs to find out."""
        parts = urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
        if self.proxied or not parts.hostname:
            return
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname, port), min(1.0, self.timeout)).close()
        except ConnectionRefusedError:
            raise Unreachable(f"nobody listens at {parts.hostname}:{port}") from None
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class Queue:
    """How much may wait, how much is sent at once, and every how many seconds."""

    size: int
    batch: int
    interval: float


def destination(env: Mapping[str, str], signal: Signal) -> Destination | None:
    """None where the signal is not exported: the SDK is disabled, its exporter is `none`, or nobody named an exporter
    or an endpoint (a person without a collector is not to see connection errors).

    Raises ValueError for what is not supported, naming the variable.
    """
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoint = _endpoint(env, signal)
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    chosen = env.get(variable, "").strip() or ("otlp" if endpoint else "none")
    if chosen not in ("otlp", "none"):
        raise ValueError(f"{variable}={chosen!r}: expected 'otlp' or 'none'")
    if chosen == "none":
        return None
    protocol = _protocol(env, signal)
    local = "http://localhost:4317" if protocol == "grpc" else f"http://localhost:4318/v1/{signal}"
    if protocol == "http/protobuf" and endpoint and not endpoint.startswith(("http://", "https://")):
        variable = _endpoint_variable(env, signal)
        shown = without_secrets(env[variable])
        raise ValueError(f"{variable}={shown!r}: expected a URL, http://… or https://…")
    _check_secrets(env, signal)
    proxied = any(env.get(name) or env.get(name.lower()) for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))
    return Destination(protocol, endpoint or local, _timeout(env, signal), proxied)


def queue(env: Mapping[str, str], prefix: str, delay: float) -> Queue:
    """As `OTEL_BSP_*` and `OTEL_BLRP_*` say; `delay` is the default in milliseconds. Raises ValueError."""
    return Queue(
        size=int(number(env, f"{prefix}_MAX_QUEUE_SIZE", 2048)),
        batch=int(number(env, f"{prefix}_MAX_EXPORT_BATCH_SIZE", 512)),
        interval=number(env, f"{prefix}_SCHEDULE_DELAY", delay) / 1000,
    )


def number(env: Mapping[str, str], variable: str, default: float) -> float:
    """A positive number from the environment. Raises ValueError, naming the variable."""
    text = env.get(variable, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{variable}={text!r}: expected a number above 0")
    return value


def _endpoint_variable(env: Mapping[str, str], signal: Signal) -> str:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    return own if env.get(own, "").strip() else "OTEL_EXPORTER_OTLP_ENDPOINT"


def _check_secrets(env: Mapping[str, str], signal: Signal) -> None:
    """Raises ValueError where the SDK would lose a key. What the variables say is not shown: it is the key."""
    variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    if _endpoint_variable(env, signal) == variable and "?" in env.get(variable, ""):
        raise ValueError(f"{variable}: expected a URL without a query; a key belongs into OTEL_EXPORTER_OTLP_HEADERS")
    for variable in ("OTEL_EXPORTER_OTLP_HEADERS", f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS"):
        for number, header in enumerate(env.get(variable, "").split(","), 1):
            name, equals, _ = header.partition("=")
            if header.strip() and not (equals and _HEADER_NAME.fullmatch(name.strip())):
                raise ValueError(f"{variable}: expected name=value,name=value; header {number} is none")


def _endpoint(env: Mapping[str, str], signal: Signal) -> str:
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if own or not base or _protocol(env, signal) == "grpc":
        return own or base
    return f"{base.rstrip('/')}/v1/{signal}"


def _protocol(env: Mapping[str, str], signal: Signal) -> Protocol:
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        match env.get(variable, "").strip():
            case "":
                continue
            case "http/protobuf":
                return "http/protobuf"
            case "grpc":
                return "grpc"
            case other:
                raise ValueError(f"{variable}={other!r}: expected 'http/protobuf' or 'grpc'")
    return "http/protobuf"


def _timeout(env: Mapping[str, str], signal: Signal) -> float:
    """Seconds, as this SDK reads the variable; the specification says milliseconds."""
    everywhere = number(env, "OTEL_EXPORTER_OTLP_TIMEOUT", _DEFAULT_SECONDS)
    return number(env, f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", everywhere)
