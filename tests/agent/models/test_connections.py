"""Attempts without a whole answer: nobody listens, hangs up, or is too slow."""

from __future__ import annotations

import asyncio
import socket

from tests.agent.models.raw_server import adapter, ask, raw_server, send


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with adapter(f"http://127.0.0.1:{bound.getsockname()[1]}/v1") as model:
            failure = (await send(model)).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("connection", "ClientConnectorError", "no")


async def test_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):  # the queue of one is taken: a further connection hangs
            timeouts = {"connect": 0.05}
            async with adapter(f"http://127.0.0.1:{address[1]}/v1", timeouts=timeouts) as model:
                failure = (await send(model)).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "connect_timeout", "no")


async def test_hung_up_without_an_answer() -> None:
    failure = (await ask(b"", then="close")).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("connection", "ServerDisconnectedError", "maybe")


async def test_what_is_not_http() -> None:
    failure = (await ask(b"what?\r\n\r\n", then="close")).failed
    assert (failure.kind, failure.billed) == ("connection", "maybe")


async def test_no_first_byte() -> None:
    failure = (await ask(b"", then="hold", timeouts={"first_byte": 0.02})).failed
    assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "first_byte_timeout", "maybe")


async def test_silence_in_the_middle() -> None:
    head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    failure = (await ask(head, then="hold", timeouts={"between": 0.02})).failed
    assert (failure.kind, failure.error_type) == ("timeout", "between_timeout")


async def test_silence_while_an_error_is_read() -> None:
    head = b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    async with raw_server(head, then="hold") as server, adapter(server.url, timeouts={"first_byte": 0.1}) as model:
        failure = (await send(model)).failed
        assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "first_byte_timeout", "maybe")
        await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_the_deadline_ends_everything() -> None:
    async with raw_server(b"", then="hold") as server, adapter(server.url) as model:
        failure = (await send(model, time_limit=0.05)).failed
        assert (failure.kind, failure.error_type, failure.billed) == ("timeout", "deadline", "maybe")
        none_left = (await send(model, time_limit=0)).failed
        assert (none_left.error_type, none_left.billed) == ("deadline", "no")
        assert server.connections == 1
