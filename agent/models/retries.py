"""Whether and when the same request is sent to the same model again. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.config import FailureKind, RetryPolicy
from agent.models.error_words import NO_CREDIT_CODE
from agent.models.protocol import CallFailed

_PASSING: frozenset[FailureKind] = frozenset({"timeout", "connection", "rate_limit", "server_error", "malformed"})


def retryable(failure: CallFailed) -> bool:
    """Never after text was shown: a reader would see it twice. What is too large for a limit stays so (413)."""
    passing = failure.kind in _PASSING and failure.status != 413
    return passing and not failure.shown and not out_of_credit(failure)


def out_of_credit(failure: CallFailed) -> bool:
    """A limit that no wait of ours outlasts."""
    return failure.status == 402 or NO_CREDIT_CODE.search(failure.error_type) is not None


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
