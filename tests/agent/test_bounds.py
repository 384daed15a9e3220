from __future__ import annotations

import pytest

from agent.bounds import Progress, closing, exceeded
from agent.config import Bounds
from agent.types import Outcome

BOUNDS = Bounds(steps=4, tool_calls=6, deadline_seconds=100)


@pytest.mark.parametrize(
    ("calls", "tools", "remaining", "over", "near"),
    [
        (0, 0, 100.0, None, None),
        (2, 5, 20.0, None, None),
        (3, 0, 50.0, None, "limit_steps"),
        (4, 0, 50.0, "limit_steps", None),
        (5, 0, 50.0, "limit_steps", None),
        (1, 6, 50.0, None, "limit_tools"),
        (1, 7, 50.0, None, "limit_tools"),
        (1, 0, 19.999, None, "limit_time"),
        (1, 0, 0.001, None, "limit_time"),
        (1, 0, 0.0, "limit_time", "limit_time"),
        (1, 0, -3.0, "limit_time", "limit_time"),
        (4, 9, -3.0, "limit_time", "limit_tools"),  # time first: no call fits into none
        (3, 6, 5.0, None, "limit_steps"),
        (0, 0, 1.0, None, None),  # the first call is never the last
        (0, 0, 0.0, "limit_time", None),
    ],
)
def test_limits(calls: int, tools: int, remaining: float, over: Outcome | None, near: Outcome | None) -> None:
    done = Progress(calls, tools, remaining)
    assert exceeded(done, BOUNDS) == over
    assert closing(done, BOUNDS) == near


def test_the_first_call_is_never_closing() -> None:
    bounds = Bounds(steps=2, tool_calls=0)
    assert closing(Progress(0, 0, 100), bounds) is None
    assert closing(Progress(1, 0, 100), bounds) == "limit_steps"
