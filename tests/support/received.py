"""What a collector of the tests has received, safe to read while more arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tests.support import decode
from tests.support.signals import Attributes, Log, Metric, Point, Span

Signal = Literal["traces", "metrics", "logs"]

Mode = Literal["ok", "refuse", "hang", "garbage", "503", "slow"]
"""How a collector behaves. `refuse`: the port is closed. `hang`: it reads and never answers. `garbage`: success, with
a body that is no OTLP (over HTTP of the wrong content type too). `503`: over gRPC UNAVAILABLE. `slow`: `ok`, late."""


@dataclass(frozen=True, slots=True)
class Request:
    """One export as it arrived: `body` after decompression, header names in lower case."""

    signal: Signal
    headers: Mapping[str, str]
    body: bytes


class Received:
    """`raw` and `requests` hold whatever arrived in any mode, the signals what was accepted (`ok`, `slow`).

    `endpoint` is what `OTEL_EXPORTER_OTLP_ENDPOINT` takes. `mode` may be set to another but `refuse` at any time.
    """

    def __init__(self, endpoint: str, mode: Mode, delay: float) -> None:
        self.endpoint = endpoint
        self.mode = mode
        self.delay = delay
        self.closing = threading.Event()
        self.problems: list[str] = []
        self._arrived = threading.Condition()
        self._requests: list[Request] = []
        self._spans: list[Span] = []
        self._logs: list[Log] = []
        self._metrics: dict[str, Metric] = {}

    @property
    def spans(self) -> tuple[Span, ...]:
        with self._arrived:
            return tuple(self._spans)

    @property
    def logs(self) -> tuple[Log, ...]:
        with self._arrived:
            return tuple(self._logs)

    @property
    def metrics(self) -> dict[str, Metric]:
        """By name; of each series (resource and attributes) the latest point."""
        with self._arrived:
            return dict(self._metrics)

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._arrived:
            return tuple(self._requests)

    @property
    def raw(self) -> bytes:
        """All bodies received, for the search of what must not be in them."""
        return b"\n".join(request.body for request in self.requests)

    def wait_for(self, predicate: Callable[[Received], object], timeout: float = 10.0) -> None:
        """Returns once `predicate` holds, asked after every arrival. AssertionError after `timeout` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: predicate(self), timeout):
                names = sorted({span.name for span in self._spans} | {log.event_name for log in self._logs})
                raise AssertionError(
                    f"not within {timeout} s; {len(self._requests)} requests, {len(self._spans)} spans, "
                    f"{len(self._logs)} logs: {names}; metrics: {sorted(self._metrics)}; problems: {self.problems}"
                )

    def accept(self, request: Request) -> None:
        """Takes in one export. ValueError or protobuf's DecodeError where it is no OTLP: a problem of the test."""
        with self._arrived:
            self._requests.append(request)
            try:
                if self.mode in ("ok", "slow"):
                    self._take(request)
            except Exception as error:
                self.problems.append(f"{request.signal}: {error!r}")
                raise
            finally:
                self._arrived.notify_all()

    def close(self) -> None:
        """Lets hanging requests go."""
        self.closing.set()

    def _take(self, request: Request) -> None:
        if request.signal == "traces":
            self._spans.extend(decode.spans(request.body))
        elif request.signal == "logs":
            self._logs.extend(decode.logs(request.body))
        else:
            for metric in decode.metrics(request.body):
                self._metrics[metric.name] = _merged(self._metrics.get(metric.name), metric)


def _merged(before: Metric | None, now: Metric) -> Metric:
    if before is None:
        return now
    if replace(before, points=()) != replace(now, points=()):
        raise ValueError(f"metric {now.name} was {before.kind} in {before.unit!r}, now {now.kind} in {now.unit!r}")
    points = {_series(point): point for point in (*before.points, *now.points)}
    return replace(now, points=tuple(points.values()))


def _series(point: Point) -> str:
    def ordered(attributes: Attributes) -> str:
        return repr(sorted(attributes.items()))

    return ordered(point.resource) + ordered(point.attributes)
