"""What is sent: the body, once encoded, and the headers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.openai_chat import OpenAIChat
from agent.models.protocol import Arrived, Request
from agent.models.wire import draft
from agent.types import Message, ToolCall
from tests.agent.models.raw_server import adapter, answer, body, config, raw_server, send

TOOLS = b'[{"type":"function","function":{"name":"f"}}]'
TALK = (
    Message("user", "hi"),
    Message("assistant", "", (ToolCall("a", "f", '{"x":1}'),)),
    Message("tool", "result", tool_call_id="a"),
    Message("assistant", "done"),
)


def test_the_body() -> None:
    model = config("http://x/v1", parameters={"temperature": 0.5}, cap_parameter="max_tokens")
    sent = json.loads(draft(Request("be kind", TALK, TOOLS, 1, stream=True), model).with_cap(20))
    assert sent == {
        "temperature": 0.5,
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": json.loads(TOOLS),
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
            },
            {"role": "tool", "tool_call_id": "a", "content": "result"},
            {"role": "assistant", "content": "done"},
        ],
        "max_tokens": 20,
    }


def test_what_is_not_there_is_not_sent() -> None:
    sent = json.loads(draft(Request("", (Message("user", "hi"),)), config("http://x")).with_cap(1))
    assert sent == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 1}
    assert json.loads(draft(Request("", ()), config("http://x")).with_cap(1))["messages"] == []


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    messages = (Message("user", "a\ud800b \ud83d\ude00 \N{GRINNING FACE}"),)
    sent = json.loads(draft(Request("\udfff", messages), config("http://x")).with_cap(1))
    assert [message["content"] for message in sent["messages"]] == [
        "\ufffd",
        "a\ufffdb \N{GRINNING FACE} \N{GRINNING FACE}",
    ]


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 10**18))
def test_any_text_makes_a_body_within_its_bound(text: str, cap: int) -> None:
    made = draft(Request(text, (Message("user", text), Message("tool", text, tool_call_id=text))), config("http://x"))
    encoded = made.with_cap(cap)
    assert json.loads(encoded)["max_completion_tokens"] == cap
    assert len(encoded) <= made.input_bound


def test_overheads_are_in_the_bound() -> None:
    plain = draft(Request("s", TALK, TOOLS, 3), config("http://x"))
    dearer = draft(Request("s", TALK, TOOLS, 3), config("http://x", overhead_per_request=100, overhead_per_tool=10))
    assert dearer.input_bound - plain.input_bound == 130


@pytest.mark.parametrize("name", ["model", "messages", "tools", "stream", "stream_options", "max_tokens", "n"])
def test_reserved_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        OpenAIChat(config("http://x", parameters={name: 1}), "k")


async def test_headers() -> None:
    async with raw_server(answer(body({"content": "x"}))) as server, adapter(server.url) as model:
        await model.send(b'{"a":1}', stream=False, on_text=_nothing, time_limit=9, arrived=Arrived())
        head, sent = server.requests[0]
    lines = head.lower().split("\r\n")
    assert lines[0] == "post /v1/chat/completions http/1.1"
    assert "authorization: bearer sk-test" in lines
    assert "content-type: application/json" in lines
    assert "stainless" not in head.lower()
    assert sent == b'{"a":1}'


async def test_without_a_key_none_is_sent_not_even_the_admins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    async with raw_server(answer(body({"content": "x"}))) as server, adapter(server.url, api_key=None) as model:
        await send(model)
    assert "authorization" not in server.requests[0][0].lower()


async def test_a_query_of_the_base_url_stays() -> None:
    async with (
        raw_server(answer(body({"content": "x"}))) as server,
        adapter(f"{server.url}/?api-version=7") as model,
    ):
        await send(model)
    assert server.requests[0][0].startswith("POST /v1/chat/completions?api-version=7 ")


async def test_a_large_request_arrives_whole() -> None:
    large = b'{"x":"' + b"y" * 3_000_000 + b'"}'
    async with raw_server(answer(body({"content": "x"}))) as server, adapter(server.url) as model:
        assert (await send(model, sent=large)).replied.message.content == "x"
    assert server.requests[0][1] == large


async def test_a_proxy_is_used_and_no_proxy_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(answer(body({"content": "x"}))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        async with adapter("http://model.example/v1") as model:
            await send(model)
        assert proxy.requests[0][0].startswith("POST http://model.example/v1/chat/completions ")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with raw_server(answer(body({"content": "x"}))) as server, adapter(server.url) as model:
            await send(model)
        assert (len(server.requests), len(proxy.requests)) == (1, 1)


async def _nothing(_: str) -> None:
    pass
