"""Whether and when the same request is sent to the same model again. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.config import FailureKind, RetryPolicy
from agent.models.protocol import CallFailed

_PASSING: frozenset[FailureKind] = frozenset({"timeout", "connection", "rate_limit", "server_error", "malformed"})

_OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "http_402"})
"""Limits that no wait of ours outlasts."""


def retryable(failure: CallFailed) -> bool:
    """Never after text was shown: a reader would see it twice."""
    return not failure.shown and failure.kind in _PASSING and not out_of_credit(failure)


def out_of_credit(failure: CallFailed) -> bool:
    return failure.status == 402 or failure.error_type in _OUT_OF_CREDIT


def delay(
    policy: RetryPolicy, number: int, retry_after: float | None, remaining: float, random: Callable[[], float]
) -> float | None:
    """Seconds to wait after attempt `number` (from 1) failed; None: no further attempt.

    Full jitter on an exponential back-off, `random()` in [0, 1). A provider's `retry_after` is a lower bound, above
    `cap_seconds` too. None also where the wait would not leave anything of the `remaining` seconds.
    """
    if number >= policy.attempts:
        return None
    wait = random() * min(policy.cap_seconds, policy.base_seconds * 2 ** (number - 1))
    wait = max(wait, retry_after or 0.0)
    return wait if wait < remaining else None
