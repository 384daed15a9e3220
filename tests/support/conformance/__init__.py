"""The rules at the end of the telemetry contract, and its tables, applied to what a collector received.

Written from the contract alone; imports nothing of the program.
"""

from __future__ import annotations

from tests.support.conformance.events import check_events
from tests.support.conformance.findings import Finding
from tests.support.conformance.metric_tables import METRICS, prometheus_name
from tests.support.conformance.metrics import check_metrics, without_data
from tests.support.conformance.spans import check, never_seen

__all__ = [
    "METRICS",
    "Finding",
    "check",
    "check_events",
    "check_metrics",
    "never_seen",
    "prometheus_name",
    "without_data",
]
