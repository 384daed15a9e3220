"""How long a provider asks to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds; whatever says more is taken to say this."""


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds. `retry-after-ms` is the finer statement and wins; its 0 says nothing, and `Retry-After` counts."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds:
        return min(milliseconds / 1000, LONGEST)
    value = headers.get("retry-after")
    seconds = _seconds(value)
    if seconds is None:
        seconds = _until(value, now)
    return None if seconds is None else min(seconds, LONGEST)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None  # NaN is not


def _until(value: str | None, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
