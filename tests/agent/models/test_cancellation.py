"""Whoever leaves in the middle finds what had arrived and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from agent.models.protocol import Arrived
from tests.agent.models.raw_server import (
    STOP,
    USAGE,
    Then,
    adapter,
    answer,
    body,
    chunk,
    raw_server,
    send,
    stream,
    text,
)


async def nothing(_: str) -> None:
    pass


async def test_cancelled_while_text_comes() -> None:
    content = stream(chunk({"content": "Hel"}, usage=USAGE), text("lo"), done=False, end=False)
    async with raw_server(content, then="hold") as server, adapter(server.url) as model:
        shown, arrived = asyncio.Event(), Arrived()

        async def show(piece: str) -> None:
            if piece == "lo":
                shown.set()

        others = asyncio.all_tasks()
        task = asyncio.create_task(model.send(b"{}", stream=True, on_text=show, time_limit=30, arrived=arrived))
        await shown.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.hung_up.wait(), 10)
        assert asyncio.all_tasks() <= others
    partial = arrived.reply()
    assert (arrived.sent, arrived.shown, partial.message.content, partial.usage) == (True, True, "Hello", None)
    assert arrived.first_chunk is not None
    assert len(arrived.chunk_gaps) == 1


@pytest.mark.parametrize(
    "content", [b"", b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{", b"HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\n{"]
)
async def test_cancelled_while_waiting(content: bytes) -> None:
    async with raw_server(content, then="hold") as server, adapter(server.url) as model:
        arrived = Arrived()
        others = asyncio.all_tasks()
        task = asyncio.create_task(model.send(b"{}", stream=False, on_text=nothing, time_limit=30, arrived=arrived))
        await server.answered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await asyncio.wait_for(server.hung_up.wait(), 10)
        assert caught.tb  # has kept every frame alive: the connection was closed, not collected as garbage
        assert asyncio.all_tasks() <= others
    assert arrived.sent
    assert not arrived.anything()


@pytest.mark.parametrize("error", [ValueError("gone"), TimeoutError("gone"), ConnectionResetError("gone")])
async def test_a_consumer_that_fails_is_heard(error: Exception) -> None:
    async def show(_: str) -> None:
        raise error

    content = stream(text("Hel"), done=False, end=False)
    async with raw_server(content, then="hold") as server, adapter(server.url) as model:
        with pytest.raises(type(error), match="gone"):
            await send(model, on_text=show)
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_a_slow_consumer_holds_the_provider_back_and_is_no_timeout() -> None:
    """The provider has said its all and is silent; only the consumer takes longer than `between`."""

    async def slowly(_: str) -> None:
        await asyncio.sleep(0.05)

    content = stream(text("a"), text("b"), STOP)
    async with raw_server(content) as server, adapter(server.url, timeouts={"between": 0.02}) as model:
        assert (await send(model, on_text=slowly)).shown == ["a", "b"]


async def test_the_deadline_ends_a_slow_consumer_too() -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    async with raw_server(stream(text("a"), STOP)) as server, adapter(server.url) as model:
        failure = (await send(model, on_text=never, time_limit=0.1)).failed
    assert (failure.error_type, failure.shown) == ("deadline", True)


async def test_connections_are_used_again() -> None:
    ends = [stream(text("a"), STOP), stream(text("a"), STOP, done=False), answer(body({"content": "a"}))]
    refused = answer({"error": {}}, status=500)
    async with raw_server(*ends, refused, *ends) as server, adapter(server.url) as model:
        got = [await send(model) for _ in range(7)]
        assert [outcome.reply is not None for outcome in got] == [True, True, True, False, True, True, True]
        assert server.connections == 1


@pytest.mark.parametrize("then", ["hold", "close"])
async def test_a_body_that_does_not_end_after_done_is_not_waited_for(then: Then) -> None:
    content = stream(text("a"), STOP, end=False)
    async with raw_server(content, then=then) as server, adapter(server.url) as model:
        assert (await send(model)).replied.message.content == "a"
        await asyncio.wait_for(server.hung_up.wait(), 10)
