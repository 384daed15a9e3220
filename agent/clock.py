"""The clock that leases are kept by."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Seconds, going on while the machine sleeps, so that a lease does not outlast a closed lid."""
    return time.clock_gettime(_CLOCK)
