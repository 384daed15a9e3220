from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import FailureKind, RetryPolicy
from agent.models.protocol import CallFailed
from agent.models.retries import delay, out_of_credit, retryable

POLICY = RetryPolicy(attempts=4, base_seconds=1, cap_seconds=3)


@pytest.mark.parametrize(("number", "seconds"), [(1, 0.5), (2, 1.0), (3, 1.5), (4, None), (5, None)])
def test_backs_off_to_the_cap_and_ends(number: int, seconds: float | None) -> None:
    assert delay(POLICY, number, None, 100, lambda: 0.5) == seconds


@pytest.mark.parametrize(
    ("retry_after", "remaining", "seconds"),
    [(10.0, 11.0, 10.0), (10.0, 10.0, None), (10.0, 9.0, None), (0.2, 9.0, 0.5), (None, 0.5, None), (None, 0.6, 0.5)],
)
def test_retry_after_and_the_deadline(retry_after: float | None, remaining: float, seconds: float | None) -> None:
    assert delay(POLICY, 1, retry_after, remaining, lambda: 0.5) == seconds


@given(st.integers(1, 3), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e5), st.floats(-10, 1e5))
def test_a_delay_is_at_least_what_was_asked_and_leaves_time(
    number: int, fraction: float, retry_after: float | None, remaining: float
) -> None:
    seconds = delay(POLICY, number, retry_after, remaining, lambda: fraction)
    assert seconds is None or (retry_after or 0) <= seconds < remaining


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("timeout", True),
        ("connection", True),
        ("rate_limit", True),
        ("server_error", True),
        ("malformed", True),
        ("auth", False),
        ("bad_request", False),
        ("context_overflow", False),
    ],
)
def test_kinds(kind: FailureKind, again: bool) -> None:
    assert retryable(CallFailed(kind, "x", "")) is again
    assert not retryable(CallFailed(kind, "x", "", shown=True))


def test_no_wait_outlasts_an_empty_account() -> None:
    for failure in (CallFailed("rate_limit", "insufficient_quota", ""), CallFailed("rate_limit", "x", "", status=402)):
        assert out_of_credit(failure)
        assert not retryable(failure)
