"""When a worker that died is started again."""

from __future__ import annotations

from agent.service.supervisor import wait_after


def test_ever_later_and_for_ever() -> None:
    assert [wait_after(deaths) for deaths in range(1, 10)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert wait_after(100_000) == 30
