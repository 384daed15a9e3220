"""Money as a metric: integers of nano-dollars inside, one division at the scrape.

A float counter of prometheus-client drifts (0.8 nano-dollars after three million increments); these do not, so
that what is exported equals the ledger.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from threading import Lock

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
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


class NanoDistribution:
    """One series of a histogram; `bounds` are inclusive upper bounds in nano-dollars."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_lock", "_names", "_nano")

    def __init__(self, bounds: Sequence[int]) -> None:
        self._bounds = bounds
        self._names = [*(str(bound / NANO) for bound in bounds), "+Inf"]
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)
        self._lock = Lock()
        self._nano = 0

    def observe(self, nano: int, exemplar: dict[str, str] | None = None) -> None:
        bucket = bisect_left(self._bounds, nano)
        with self._lock:
            self._nano += nano
            self._counts[bucket] += 1
            if exemplar is not None:
                self._exemplars[bucket] = Exemplar(exemplar, nano / NANO, time.time())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        with self._lock:
            buckets = list(zip(self._names, accumulate(self._counts), self._exemplars, strict=True))
            family.add_metric(labels, buckets, self._nano / NANO)  # type: ignore[arg-type] # an exemplar may be None


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


class NanoHistogram(Collector):
    """A histogram of money by labels; the instrument's buckets are in USD."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._bounds = tuple(round(bound * NANO) for bound in instrument.buckets)
        self._children: dict[tuple[str, ...], NanoDistribution] = {}

    def labels(self, *values: str) -> NanoDistribution:
        return self._children.setdefault(values, NanoDistribution(self._bounds))

    def describe(self) -> Iterable[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._instrument.prometheus, self._instrument.help, labels=self._instrument.labels)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        for family in self.describe():
            for values, child in list(self._children.items()):
                child.add_to(family, values)
            yield family
