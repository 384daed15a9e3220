"""Where a signal goes, as the `OTEL_*` variables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from telemetry.metrics import Signal

Protocol = Literal["http/protobuf", "grpc"]

_DEFAULT_SECONDS: Final = 3.0
"""Instead of the specification's 10 s: the end of a process waits for its last export."""


@dataclass(frozen=True, slots=True)
class Destination:
    """`endpoint` is complete, path included. Headers, compression and certificates are read by the SDK's exporters
    themselves, from the process's environment."""

    protocol: Protocol
    endpoint: str
    timeout: float


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
    return Destination(protocol, endpoint or local, _timeout(env, signal))


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
