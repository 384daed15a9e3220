"""Each fault of the table, as the real SDK or a plain HTTP client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from agent.offline.faults import TABLE, Fault, Script
from agent.offline.server import OfflineModel
from tests.agent.offline.asking import QUESTION, ask, calls_of, request, stream, text_of, user

STATUSES = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529]


@asynccontextmanager
async def faulty(server: OfflineModel, fault: str, timeout: float = 30.0) -> AsyncIterator[AsyncOpenAI]:  # noqa: ASYNC109
    async with AsyncOpenAI(base_url=server.faulty_url(fault), api_key="x", max_retries=0, timeout=timeout) as client:
        yield client


async def raw(server: OfflineModel, fault: str, **more: Any) -> tuple[aiohttp.ClientResponse, bytes]:
    body = request(user(QUESTION), **more)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.faulty_url(fault)}/chat/completions", data=body) as answer,
    ):
        return answer, await answer.read()


async def unstreamed(server: OfflineModel, fault: str, **more: Any) -> Any:
    return orjson.loads((await raw(server, fault, **more))[1])


def frames(events: bytes) -> list[Any]:
    return [orjson.loads(line[6:]) for line in events.splitlines() if line.startswith(b"data: {")]


async def streamed(server: OfflineModel, fault: str) -> list[Any]:
    return frames((await raw(server, fault, stream=True, stream_options={"include_usage": True}))[1])


# --- the wire ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", STATUSES)
async def test_status(server: OfflineModel, code: int) -> None:
    async with faulty(server, f"status:{code};Retry-After=7;retry-after-ms=0") as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await ask(client)

    assert caught.value.status_code == code
    assert (caught.value.response.headers["retry-after"], caught.value.response.headers["retry-after-ms"]) == ("7", "0")
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert [(access.fault, access.status, access.state) for access in server.log.accesses] == [
        ("status", code, "finished")
    ]


@pytest.mark.parametrize(("fault", "code"), [("quota", "insufficient_quota"), ("tool_use_failed", "tool_use_failed")])
async def test_errors_with_a_code_of_their_own(server: OfflineModel, fault: str, code: str) -> None:
    async with faulty(server, fault) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await ask(client)

    assert caught.value.code == code


async def test_context_overflow_has_four_forms(server: OfflineModel) -> None:
    answers = [await raw(server, f"context_overflow:{form}") for form in (1, 2, 3, 4)]

    assert [answer.status for answer, _ in answers] == [400, 400, 400, 413]
    assert len({body for _, body in answers}) == 4


async def test_slow_holds_everything_back(server: OfflineModel) -> None:
    async with faulty(server, "slow:60", timeout=0.05) as client:
        with pytest.raises(openai.APITimeoutError):
            await ask(client)
    await server.log.until(lambda log: log.count("aborted") == 1)
    async with faulty(server, "slow:0.01") as client:
        assert (await ask(client)).choices


async def test_slow_chunks_sends_headers_at_once(server: OfflineModel) -> None:
    async with faulty(server, "slow_chunks:60", timeout=0.05) as client:
        response = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APITimeoutError):
            await anext(aiter(response))


@pytest.mark.parametrize("streaming", [True, False])
async def test_stall_goes_silent_until_the_client_leaves(server: OfflineModel, streaming: bool) -> None:
    body = request(user(QUESTION), stream=streaming)
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{server.faulty_url('stall:2')}/chat/completions", data=body)
        seen = await answer.content.readany()
        assert seen
        assert server.log.count("arrived") == 1
        answer.close()
    await server.log.until(lambda log: log.count("aborted") == 1)

    assert server.log.accesses[0].pieces == (2 if streaming else 1)


@pytest.mark.parametrize(("streaming", "pieces"), [(True, 2), (False, 1)])
async def test_cut_breaks_off_in_the_middle(server: OfflineModel, streaming: bool, pieces: int) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await raw(server, "cut:2", stream=streaming)

    await server.log.until(lambda log: log.count("cut") == 1)
    assert server.log.accesses[0].pieces == pieces


async def test_cut_delivers_what_came_before(server: OfflineModel) -> None:
    seen: list[ChatCompletionChunk] = []
    async with faulty(server, "cut:5") as client:
        with pytest.raises(openai.APIConnectionError):
            await stream(client, seen=seen)

    assert len(seen) == 5


async def test_reset_comes_before_any_header(server: OfflineModel) -> None:
    async with faulty(server, "reset") as client:
        with pytest.raises(openai.APIConnectionError):
            await ask(client)
    port, body = int(server.root_url.rpartition(":")[2]), request(user(QUESTION))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /fault/reset/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()

    assert [access.state for access in server.log.accesses] == ["cut", "cut"]


async def test_malformed_is_no_json(server: OfflineModel) -> None:
    _, body = await raw(server, "malformed")
    _, events = await raw(server, "malformed", stream=True)

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    with pytest.raises(orjson.JSONDecodeError):
        frames(events)


async def test_wrong_content_types(server: OfflineModel) -> None:
    page, body = await raw(server, "html", stream=True)
    plain, good = await raw(server, "content_type:application%2Foctet-stream")

    assert (page.status, page.content_type, body[:9]) == (200, "text/html", b"<!doctype")
    assert plain.content_type == "application/octet-stream"
    assert orjson.loads(good)["choices"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_error_200_is_an_error_alone(server: OfflineModel, streaming: bool) -> None:
    answer, body = await raw(server, "error_200", stream=streaming)

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert set(orjson.loads(body)) == {"error"}


@pytest.mark.parametrize("fault", ["error_chunk", "error_chunk_usage", "error_event"])
async def test_errors_in_a_stream_reach_the_sdk(server: OfflineModel, fault: str) -> None:
    async with faulty(server, fault) as client:
        with pytest.raises(openai.APIError, match="The server had an error"):
            await stream(client)

    last = (await streamed(server, fault))[-1]
    assert "error" in last
    assert ("usage" in last) == (fault == "error_chunk_usage")


async def test_an_error_field_and_a_truncated_stream_look_like_clean_ends(server: OfflineModel) -> None:
    for fault in ("error_field:4", "truncated"):
        async with faulty(server, fault) as client:
            chunks = await stream(client)

        assert chunks
        assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)
        assert all(chunk.usage is None for chunk in chunks)
        assert b"[DONE]" not in (await raw(server, fault, stream=True))[1]


async def test_no_done_lacks_only_the_last_event(server: OfflineModel) -> None:
    _, events = await raw(server, "no_done", stream=True)

    assert b"[DONE]" not in events
    assert frames(events)[-1]["choices"][0]["finish_reason"] == "tool_calls"


# --- tool calls ----------------------------------------------------------------------------------------------------


def function(body: Any, number: int = 0) -> Any:
    return body["choices"][0]["message"]["tool_calls"][number]["function"]


async def test_faulty_arguments(server: OfflineModel) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(function(await unstreamed(server, "malformed_arguments"))["arguments"])
    assert "arguments" not in function(await unstreamed(server, "absent_arguments"))
    assert function(await unstreamed(server, "null_arguments"))["arguments"] is None


@pytest.mark.parametrize(("fault", "expected"), [("absent_arguments", {}), ("null_arguments", {"arguments": None})])
async def test_missing_arguments_in_a_stream(server: OfflineModel, fault: str, expected: Any) -> None:
    parts = [
        call["function"]
        for frame in await streamed(server, fault)
        for choice in frame["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]

    assert [{key: part[key] for key in part if key != "name"} for part in parts] == [expected, expected]


async def test_unknown_tool(server: OfflineModel) -> None:
    async with faulty(server, "unknown_tool:rm_rf") as client:
        assert calls_of(await stream(client))[0][0] == "rm_rf"
    assert function(await unstreamed(server, "unknown_tool"))["name"] == "no_such_tool"


async def test_duplicate_calls_come_whole_with_the_same_id(server: OfflineModel) -> None:
    body = await unstreamed(server, "duplicate_calls")
    async with faulty(server, "duplicate_calls") as client:
        concatenated = calls_of(await stream(client))

    first, second = body["choices"][0]["message"]["tool_calls"]
    assert first == second
    assert first["id"] == "0"
    assert concatenated == {0: ("lookup_user" * 2, first["function"]["arguments"] * 2)}


async def after_replies(server: OfflineModel, fault: str, replies: int) -> list[tuple[str, str]]:
    """The one call of each reply, each answered before the next is asked for."""
    messages: list[dict[str, Any]] = [user(QUESTION)]
    calls = []
    async with faulty(server, fault) as client:
        for _ in range(replies):
            body = orjson.loads(request(*messages))
            reply = (await client.post("/chat/completions", cast_to=object, body=body)).copy()  # type: ignore[attr-defined]
            message = reply["choices"][0]["message"]
            (call,) = message["tool_calls"]
            calls.append((call["function"]["name"], call["function"]["arguments"]))
            messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "[]"}]
    return calls


async def test_repeated_calls_and_cycles(server: OfflineModel) -> None:
    assert len(set(await after_replies(server, "repeated_calls", 4))) == 1
    two, three = await after_replies(server, "cycle", 6), await after_replies(server, "cycle:3", 6)

    assert two == two[:2] * 3
    assert three == three[:3] * 2
    assert (len(set(two)), len(set(three))) == (2, 3)


async def test_parallel_calls(server: OfflineModel) -> None:
    async with faulty(server, "parallel_calls") as client:
        calls = calls_of(await stream(client))

    assert len(set(calls.values())) == 800
    assert len((await unstreamed(server, "parallel_calls:5"))["choices"][0]["message"]["tool_calls"]) == 5


@pytest.mark.parametrize("fault", ["malformed_arguments", "unknown_tool", "duplicate_calls", "repeated_calls", "cycle"])
async def test_no_calls_where_no_tools_are_offered(server: OfflineModel, fault: str) -> None:
    body = await unstreamed(server, fault, tools=[])

    assert body["choices"][0]["message"]["content"]


# --- usage, names, sizes -------------------------------------------------------------------------------------------


async def test_no_usage(server: OfflineModel) -> None:
    assert "usage" not in await unstreamed(server, "no_usage")
    assert not any(frame.get("usage") for frame in await streamed(server, "no_usage"))
    assert server.log.accesses[0].output_tokens is None


async def test_usage_that_cannot_be_right(server: OfflineModel) -> None:
    above = (await unstreamed(server, "usage_above_cap:7", max_tokens=50))["usage"]
    cached = (await unstreamed(server, "cached_above_prompt"))["usage"]
    hidden = (await unstreamed(server, "hidden_tokens:62"))["usage"]
    garbled = (await unstreamed(server, "garbled_usage"))["usage"]

    assert above["completion_tokens"] == 57
    assert cached["prompt_tokens_details"]["cached_tokens"] == cached["prompt_tokens"] + 156
    assert hidden["total_tokens"] == hidden["prompt_tokens"] + hidden["completion_tokens"] + 62
    assert [type(value) for value in garbled.values()] == [str, float, bool, type(None), dict]


async def test_stated_costs(server: OfflineModel) -> None:
    assert (await unstreamed(server, "stated_cost:0.5"))["usage"]["cost"] == 0.5
    assert (await streamed(server, "stated_cost_object:0.5"))[-1]["usage"]["cost"]["total_cost"] == 0.5


async def test_other_names_tiers_and_finish_reasons(server: OfflineModel) -> None:
    assert {frame["model"] for frame in await streamed(server, "other_model:gpt-x")} == {"gpt-x"}
    assert (await unstreamed(server, "service_tier:flex"))["service_tier"] == "flex"
    assert (await unstreamed(server, "finish"))["choices"][0]["finish_reason"] == "eos"


async def test_replies_without_an_answer(server: OfflineModel) -> None:
    filtered = (await unstreamed(server, "content_filter"))["choices"][0]
    thought = await unstreamed(server, "reasoning_only", max_tokens=64)
    nothing = await unstreamed(server, "no_choices")

    assert (filtered["finish_reason"], filtered["message"]["content"]) == ("content_filter", "")
    assert (thought["choices"][0]["finish_reason"], thought["choices"][0]["message"]["content"]) == ("length", "")
    assert thought["usage"]["completion_tokens"] == 64
    assert thought["usage"]["completion_tokens_details"]["reasoning_tokens"] == 64
    assert nothing["choices"] == []
    assert [frame["choices"] for frame in await streamed(server, "no_choices")] == [[]]


async def test_oversized_is_as_large_as_said(server: OfflineModel) -> None:
    async with faulty(server, "oversized:2") as client:
        chunks = await stream(client)

    assert len(text_of(chunks)) >= 2_000_000
    assert len((await raw(server, "oversized:2"))[1]) >= 2_000_000


async def test_empty_choices_and_cumulative_usage(server: OfflineModel) -> None:
    empty = await streamed(server, "empty_choices")
    cumulative = [frame["usage"]["completion_tokens"] for frame in await streamed(server, "cumulative_usage")]

    assert (empty[0]["choices"], empty[0]["model"]) == ([], "")
    assert [frame["choices"] for frame in empty].count([]) == 3
    assert cumulative == sorted(cumulative)
    assert sum(cumulative) > cumulative[-1] > 0


# --- raw bodies, the script, the table -----------------------------------------------------------------------------


async def test_replays_recorded_bodies(server: OfflineModel) -> None:
    url = f"{server.base_url}/chat/completions"
    server.faults.push(
        Fault.raw_json({"detail": "no"}, 418, {"x-test": "1"}),
        Fault.raw_body(b"\xff", headers={"content-type": "application/octet-stream"}),
        Fault.raw_stream([b' data: {"a":1}\r\n\r\n', ": comment", "data: [DONE]"]),
    )
    async with aiohttp.ClientSession() as http:
        answers = [await http.post(url, data=request(user("x"))) for _ in range(3)]
        bodies = [await answer.read() for answer in answers]

    assert [(answer.status, answer.content_type) for answer in answers] == [
        (418, "application/json"),
        (200, "application/octet-stream"),
        (200, "text/event-stream"),
    ]
    assert answers[0].headers["x-test"] == "1"
    assert bodies == [b'{"detail":"no"}', b"\xff", b' data: {"a":1}\r\n\r\n: comment\n\ndata: [DONE]\n\n']


async def test_the_script_is_played_once_in_order_and_only_on_the_plain_path(server: OfflineModel) -> None:
    server.faults.push(Fault("status", 429, times=2), Fault("ok"), Fault("quota"))
    url = f"{server.base_url}/chat/completions"
    async with aiohttp.ClientSession() as http:
        await raw(server, "ok")
        statuses = [(await http.post(url, data=request(user("x")))).status for _ in range(5)]

    assert statuses == [429, 429, 200, 429, 200]


async def test_the_script_is_filled_and_emptied_over_http(server: OfflineModel) -> None:
    async with aiohttp.ClientSession(server.root_url) as http:
        pushed = await http.post(
            "/faults", json=[{"name": "status", "argument": 503, "times": 2}, {"stream": ["data: x"]}]
        )
        assert await pushed.json() == {"waiting": 3}
        assert (await http.post("/v1/chat/completions", data=request(user("x")))).status == 503
        for wrong in ({"name": "no_such"}, {"name": "status", "argument": "x"}, {"nome": "ok"}, 7):
            assert (await http.post("/faults", json=wrong)).status == 400
        assert await (await http.delete("/faults")).json() == {"waiting": 0}
        assert (await http.post("/v1/chat/completions", data=request(user("x")))).status == 200


async def test_the_table_is_shown(server: OfflineModel) -> None:
    async with aiohttp.ClientSession(server.root_url) as http:
        table = await (await http.get("/faults")).json()

    assert [row["name"] for row in table] == list(TABLE)
    assert all(row["what"] for row in table)


@pytest.mark.parametrize("text", ["no_such", "status:x", "quota:1", "status:500;bad header", "", "slow:"])
async def test_what_is_no_fault_is_refused(server: OfflineModel, text: str) -> None:
    with pytest.raises(ValueError, match=r"fault"):
        Fault.parse(text)
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{server.root_url}/fault/{text}/v1/chat/completions", data=request(user("x")))

    assert answer.status in (400, 404)


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ("stall", "cut", "reset")])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("text", [QUESTION, "hello"])
async def test_every_other_fault_plays_to_its_end(server: OfflineModel, name: str, streaming: bool, text: str) -> None:
    server.gates.named("gate").release()
    shortened = {"slow": "slow:0.001", "slow_chunks": "slow_chunks:0.001", "oversized": "oversized:0.1"}
    more = {"stream": True, "stream_options": {"include_usage": True}} if streaming else {}
    url = f"{server.faulty_url(shortened.get(name, name))}/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(url, data=request(user(text), **more)) as answer:
        assert await answer.read()

    assert answer.headers["x-offline-model"] == "true"
    assert [(access.fault, access.state) for access in server.log.accesses] == [(name, "finished")]


def test_a_script_counts_what_is_left() -> None:
    script = Script()
    script.push(Fault("ok", times=2), Fault("quota"))

    taken = [script.take() for _ in range(3)]

    assert [fault.name for fault in taken if fault] == ["ok", "ok", "quota"]
    assert script.take() is None


async def test_faults_are_dealt_out_one_each_to_requests_at_once(server: OfflineModel, client: AsyncOpenAI) -> None:
    server.faults.push(Fault("status", 429, times=5))

    replies = await asyncio.gather(*(ask(client) for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(reply, openai.RateLimitError) for reply in replies) == 5
