"""Money as a metric: integers of nano-dollars inside, one division at the scrape.

A float counter of prometheus-client drifts (0.8 nano-dollars after three million increments); these do not, so
that what is exported equals the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from threading import Lock

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from telemetry.instruments import Instrument

NANO = 1_000_000_000


class NanoCount:
    """One series of a counter."""

    __slots__ = ("_created", "_exemplar", "_lock", "_nano")

    def __init__(self) -> None:
        self._created = time.time()
        self._exemplar: Exemplar | None = None
        self._lock = Lock()
        self._nano = 0

    def inc(self, nano: int, exemplar: dict[str, str] | None = None) -> None:
        with self._lock:
            self._nano += nano
            if exemplar is not None:
                self._exemplar = Exemplar(exemplar, nano / NANO, time.time())

    def add_to(self, family: CounterMetricFamily, labels: Sequence[str]) -> None:
        with self._lock:
            family.add_metric(labels, self._nano / NANO, created=self._created, exemplar=self._exemplar)


class NanoCounter(Collector):
    """A counter of money by labels."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._children: dict[tuple[str, ...], NanoCount] = {}

    def labels(self, *values: str) -> NanoCount:
        return self._children.setdefault(values, NanoCount())

    def describe(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._instrument.prometheus, self._instrument.help, labels=self._instrument.labels)

    def collect(self) -> Iterable[CounterMetricFamily]:
        for family in self.describe():
            for values, child in list(self._children.items()):
                child.add_to(family, values)
            yield family
