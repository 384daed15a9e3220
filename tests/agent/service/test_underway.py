"""A turn and its client: how far ahead of it the model is read, and who hears of its end."""

from __future__ import annotations

import asyncio
import gc

import pytest

from agent.service.answer import Answered
from agent.service.underway import UnderWay
from agent.types import TextDelta
from tests.support.until import until

PIECE = "x" * 10_000
AHEAD = 300_000
"""Characters: what is kept for somebody who does not read, and one piece more."""


async def test_the_model_is_not_read_far_ahead_of_the_client() -> None:
    emitted = 0

    async def run(turn: UnderWay) -> Answered:
        nonlocal emitted
        for _ in range(1000):
            await turn.emit(TextDelta(PIECE))
            emitted += 1
        raise ValueError

    turn = UnderWay(run, stream=True, keep_alive=10)
    for _ in range(100):
        await asyncio.sleep(0)
    assert 0 < emitted * len(PIECE) < AHEAD
    pieces = turn.pieces()
    first = await anext(pieces)
    assert isinstance(first, str)
    assert len(first) < AHEAD
    before = emitted
    await until(lambda: emitted > before)
    assert emitted * len(PIECE) < 2 * AHEAD
    turn.leave()  # nobody reads any more: nothing is kept, and nobody waited for
    await asyncio.wait([turn.task])
    assert emitted == 1000


async def test_nobody_is_left_to_hear_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def run(turn: UnderWay) -> Answered:
        raise ValueError("secret")

    turn = UnderWay(run, stream=True, keep_alive=10)
    await asyncio.wait([turn.task])
    turn.leave()
    del turn
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.records == []
