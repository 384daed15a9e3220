from __future__ import annotations

import asyncio

import pytest

from agent.to_its_end import to_its_end


async def test_what_it_comes_to() -> None:
    async def work() -> int:
        return 7

    async def fails() -> None:
        raise KeyError

    assert await to_its_end(work()) == 7
    with pytest.raises(KeyError):
        await to_its_end(fails())


@pytest.mark.parametrize("fails", [False, True])
async def test_cancelled_again_and_again(fails: bool) -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.append(True)
        if fails:
            raise KeyError

    task = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]
