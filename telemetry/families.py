"""The instrument table as live metrics: families of prometheus-client with cached children."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.distributions import Distribution, Distributions
from telemetry.instruments import INSTRUMENTS, Instrument
from telemetry.nano import NANO, NanoCount, NanoCounter

_log = logging.getLogger(__name__)

Rows: TypeAlias = Iterable[tuple[tuple[str, ...], int | float]]
"""(label values in the instrument's order, value); money in integer nano-dollars."""

C_co = TypeVar("C_co", covariant=True)
C = TypeVar("C")


class Parent(Protocol[C_co]):
    def labels(self, *values: str) -> C_co: ...


class Family(Protocol):
    def describe(self) -> Iterable[Metric]: ...
    def collect(self) -> Iterable[Metric]: ...


class Children(dict[tuple[str, ...], C], Generic[C]):
    """A metric's children by label values: after the first use one dictionary look-up, without `labels()`."""

    def __init__(self, parent: Parent[C]) -> None:
        super().__init__()
        self._parent = parent

    def __missing__(self, values: tuple[str, ...]) -> C:
        child = self[values] = self._parent.labels(*values)
        return child


class RowGauge:
    """A gauge whose series are what `rows()` returns at the scrape."""

    def __init__(self, instrument: Instrument, rows: Callable[[], Rows]) -> None:
        self._instrument = instrument
        self._rows = rows

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._instrument.prometheus, self._instrument.help, labels=self._instrument.labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for family in self.describe():
            try:
                for values, value in self._rows():
                    family.add_metric(values, value / NANO if self._instrument.money else value)
            except Exception:  # noqa: BLE001 - the edge to a callback: the other metrics must still be scraped
                _log.exception("gauge %s could not be read", self._instrument.name)
            yield family


class Families:
    """Makes the metric of an instrument by its name, and collects all that were made."""

    def __init__(self) -> None:
        self._made: list[Family] = []

    def counter(self, name: str) -> Children[Counter]:
        i = INSTRUMENTS[name]
        return Children(self._keep(Counter(i.prometheus, i.help, i.labels, registry=None)))

    def histogram(self, name: str) -> Children[Distribution]:
        return Children(self._keep(Distributions(INSTRUMENTS[name])))

    def gauge(self, name: str) -> Children[Gauge]:
        i = INSTRUMENTS[name]
        return Children(self._keep(Gauge(i.prometheus, i.help, i.labels, registry=None)))

    def money_counter(self, name: str) -> Children[NanoCount]:
        return Children(self._keep(NanoCounter(INSTRUMENTS[name])))

    def rows(self, name: str, rows: Callable[[], Rows]) -> None:
        self._keep(RowGauge(INSTRUMENTS[name], rows))

    def describe(self) -> Iterator[Metric]:
        for family in self._made:
            yield from family.describe()

    def collect(self) -> Iterator[Metric]:
        for family in self._made:
            yield from family.collect()

    _F = TypeVar("_F", bound=Family)

    def _keep(self, family: _F) -> _F:
        self._made.append(family)
        return family
