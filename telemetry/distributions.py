"""Histograms: one look-up and two sums an observation.

Those of prometheus-client walk along their buckets, under a lock for each number, and check every exemplar anew.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from threading import Lock

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from telemetry.instruments import Instrument
from telemetry.nano import NANO


class Distribution:
    """One series. `bounds` are inclusive upper bounds of what is observed; `per` of it make one of what is shown."""

    __slots__ = ("_bounds", "_counts", "_created", "_exemplars", "_lock", "_per", "_sum")

    def __init__(self, bounds: Sequence[float], per: int) -> None:
        self._bounds = bounds
        self._per = per
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)
        self._sum: float = 0
        self._created = time.time()
        self._lock = Lock()

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            self._sum += value
            self._counts[bucket] += 1
            if exemplar is not None:
                self._exemplars[bucket] = Exemplar(exemplar, value / self._per, time.time())

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str], names: Sequence[str]) -> None:
        """`names` are those of the buckets."""
        with self._lock:
            buckets = list(zip(names, accumulate(self._counts), self._exemplars, strict=True))
            total = self._sum / self._per
        family.add_metric(labels, buckets, total)  # type: ignore[arg-type] # an exemplar may be None
        family.add_sample(f"{family.name}_created", family.samples[-1].labels, self._created)


class Distributions(Collector):
    """A histogram by labels; where it is of money, integers of nano-dollars are observed and USD are shown."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._per = NANO if instrument.money else 1
        self._bounds = tuple(round(bound * NANO) if instrument.money else bound for bound in instrument.buckets)
        self._names = [*map(floatToGoString, instrument.buckets), "+Inf"]
        self._children: dict[tuple[str, ...], Distribution] = {}

    def labels(self, *values: str) -> Distribution:
        return self._children.setdefault(values, Distribution(self._bounds, self._per))

    def describe(self) -> Iterator[HistogramMetricFamily]:
        i = self._instrument
        unit = "seconds" if i.unit == "s" else ""
        yield HistogramMetricFamily(i.prometheus, i.help, labels=i.labels, unit=unit)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        for family in self.describe():
            for values, child in list(self._children.items()):
                child.add_to(family, values, self._names)
            yield family
