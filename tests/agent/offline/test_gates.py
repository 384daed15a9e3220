"""Gates hold a request exactly where a test wants it, from the same loop, a thread, or another process."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from openai import AsyncOpenAI, OpenAI

from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from tests.agent.offline.asking import QUESTION, ask, request, stream, user


async def test_holds_a_request_before_its_headers(server: OfflineModel, client: AsyncOpenAI) -> None:
    gate = server.gate()
    asking = asyncio.create_task(ask(client))

    await gate.arrived()
    assert not asking.done()
    assert server.log.count("arrived") == 1

    gate.release()
    assert (await asking).choices[0].finish_reason == "tool_calls"


async def test_holds_a_stream_in_the_middle(server: OfflineModel) -> None:
    gate = server.gate(after=2)
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{server.base_url}/chat/completions", data=request(user(QUESTION), stream=True))
        await gate.arrived()
        seen = await answer.content.readuntil(b"\n\n") + await answer.content.readuntil(b"\n\n")
        gate.release()
        rest = await answer.read()

    assert seen.count(b"data: ") == 2
    assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("after", [0, 1, 2, 1000])
async def test_holds_an_unstreamed_body_anywhere(server: OfflineModel, client: AsyncOpenAI, after: int) -> None:
    gate = server.gate(after)
    asking = asyncio.create_task(ask(client))

    await gate.arrived()
    gate.release()

    assert (await asking).choices


async def test_several_requests_wait_at_one_gate_and_one_may_leave(server: OfflineModel, client: AsyncOpenAI) -> None:
    server.faults.push(Fault("gate", "g", times=3))
    asking = [asyncio.create_task(ask(client)) for _ in range(3)]
    await server.log.until(lambda log: log.count("arrived") == 3)

    asking[0].cancel()
    await server.log.until(lambda log: log.count("aborted") == 1)
    server.gates.named("g").release()

    replies = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(reply, BaseException) for reply in replies] == [True, False, False]


async def test_works_over_http_for_other_processes(server: OfflineModel) -> None:
    async with (
        aiohttp.ClientSession(server.root_url) as http,
        AsyncOpenAI(base_url=server.faulty_url("gate:far@1"), api_key="x", max_retries=0) as client,
    ):
        waiting = asyncio.create_task(http.get("/gates/far"))
        asking = asyncio.create_task(stream(client))
        assert await (await waiting).json() == {"gate": "far", "arrived": True}
        assert not asking.done()
        await http.post("/gates/far/release")
        assert await asking


def test_works_across_threads() -> None:
    with OfflineModel.in_thread() as server, OpenAI(base_url=server.base_url, api_key="x") as client:
        gate = server.gate()
        with pytest.raises(TimeoutError):
            gate.wait_arrived(timeout=0)
        gate.release()
        assert client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}]).choices
        gate.wait_arrived(timeout=0)
