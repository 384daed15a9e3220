"""The stand-in as a server, through the real SDK."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import orjson
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from agent.offline.server import OfflineModel, Pace
from tests.agent.offline.asking import QUESTION, ask, calls_of, request, stream, text_of, user

CALLS = {0: ("lookup_user", '{"user_id":"U-123"}'), 1: ("search_kb", '{"query":"laptop connect wifi"}')}


async def test_answers_with_tool_calls_and_usage(client: AsyncOpenAI) -> None:
    reply = await ask(client)

    calls = reply.choices[0].message.tool_calls or []
    assert {n: (call.function.name, call.function.arguments) for n, call in enumerate(calls)} == CALLS  # type: ignore[union-attr]
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.model == "any-model"
    assert reply.system_fingerprint == "offline-stand-in"


async def test_streams_the_same_reply(client: AsyncOpenAI) -> None:
    unstreamed, chunks = await ask(client), await stream(client)

    assert calls_of(chunks) == CALLS
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == unstreamed.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])

    said = await ask(client, "hello")
    assert text_of(await stream(client, "hello")) == said.choices[0].message.content


async def test_streams_without_usage_unless_asked(client: AsyncOpenAI) -> None:
    chunks = await stream(client, "hello", stream_options=None)

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_labels_every_reply_as_a_stand_in(server: OfflineModel, client: AsyncOpenAI) -> None:
    replied = await client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": ""}]
    )
    models = await client.models.with_raw_response.list()
    with pytest.raises(NotFoundError) as missing:
        await client.get("/no/such/thing", cast_to=object)

    for headers in (replied.headers, models.headers, missing.value.response.headers):
        assert headers["x-offline-model"] == "true"
    assert [access.path for access in server.log.accesses] == [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/no/such/thing",
    ]
    assert [model.owned_by for model in (await client.models.list()).data] == ["offline-stand-in"]


async def test_answers_errors_in_openais_format(server: OfflineModel, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await ask(client, temperature="x", max_tokens=-1)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.base_url}/chat/completions", data=b'{"x": "\\ud800"}') as answer,
    ):
        body = await answer.json()

    assert (refused.value.param, refused.value.type) == ("max_tokens", "invalid_request_error")
    assert answer.status == 400
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert [(access.status, access.state) for access in server.log.accesses] == [(400, "finished")] * 2


async def test_answers_with_a_dated_alias_where_told() -> None:
    async with (
        OfflineModel(dated="-2026-01-01") as server,
        AsyncOpenAI(base_url=server.base_url, api_key="x") as client,
    ):
        assert (await ask(client)).model == "any-model-2026-01-01"


async def test_paces_its_pieces() -> None:
    loop = asyncio.get_running_loop()
    async with (
        OfflineModel(pace=Pace(first_byte=0.05, chunk=0.01)) as paced,
        AsyncOpenAI(base_url=paced.base_url, api_key="x") as client,
    ):
        begun = loop.time()
        chunks = await stream(client, "hello")

    assert loop.time() - begun >= 0.05 + 0.01 * len(chunks)


async def test_logs_every_request_in_memory_in_a_file_and_over_http(tmp_path: Path) -> None:
    file = tmp_path / "access.jsonl"
    async with OfflineModel(log_file=file) as server, AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
        reply = await ask(client, extra_headers={"Idempotency-Key": "k1"})
        await stream(client)
        lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        async with aiohttp.ClientSession() as http, http.get(f"{server.root_url}/requests") as answer:
            told = await answer.json()

    first, second = server.log.accesses
    assert reply.usage is not None
    assert (first.number, first.path, first.model) == (1, "/v1/chat/completions", "any-model")
    assert (first.stream, first.messages, first.tools, first.last_role) == (False, 1, 2, "user")
    assert (first.input_tokens, first.output_tokens) == (reply.usage.prompt_tokens, reply.usage.completion_tokens)
    assert (first.idempotency_key, first.status, first.state, first.fault) == ("k1", 200, "finished", None)
    assert (second.stream, second.idempotency_key) == (True, None)
    assert second.pieces == 10
    assert [(line["number"], line["state"]) for line in lines] == [
        (1, "arrived"), (1, "finished"), (2, "arrived"), (2, "finished"),
    ]  # fmt: skip
    assert (told["arrived"], told["finished"], told["aborted"], told["cut"]) == (2, 2, 0, 0)
    assert [access["number"] for access in told["requests"]] == [1, 2]


async def test_notices_a_client_that_leaves(server: OfflineModel) -> None:
    gate = server.gate(after=2)
    async with aiohttp.ClientSession() as http:
        body = request(user(QUESTION), stream=True)
        answer = await http.post(f"{server.base_url}/chat/completions", data=body)
        await gate.arrived()
        answer.close()

    await server.log.until(lambda log: log.count("aborted") == 1)
    assert server.log.accesses[0].pieces == 2


def test_runs_in_a_thread() -> None:
    with OfflineModel.in_thread() as server, OpenAI(base_url=server.base_url, api_key="x") as client:
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])

    assert "IT helpdesk" in (reply.choices[0].message.content or "")
    server.log.wait(lambda log: log.count("finished") == 1)


async def test_stops_at_once_with_a_stalled_reply() -> None:
    async with aiohttp.ClientSession() as http:
        async with OfflineModel() as stopping:
            url = f"{stopping.faulty_url('stall')}/chat/completions"
            answer = await http.post(url, data=request(user(QUESTION), stream=True))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    assert stopping.log.count("aborted") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_refuses_hosts_beyond_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        OfflineModel(host=host)

    assert OfflineModel(host=host, allow_remote=True)


async def test_listens_on_ipv6_loopback() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with OfflineModel(host="::1") as server:
        assert server.base_url.startswith("http://[::1]:")


async def test_a_port_in_use_is_an_error(server: OfflineModel) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await OfflineModel(port=int(server.root_url.rpartition(":")[2])).__aenter__()
