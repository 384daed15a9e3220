"""Requests are validated as strictly as OpenAI does; tokens are counted the same every time."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.offline.request import BadRequest, read
from tests.agent.offline.asking import QUESTION, TOOLS, asked, request, user

CALL = {"id": "c1", "type": "function", "function": {"name": "search_kb", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "x"}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"model": "m"}', id="no messages"),
        pytest.param(b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', id="lone surrogate"),
        pytest.param(b'{"model": "m", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', id="raw surrogate"),
        pytest.param(b'{"model": "m", "max_tokens": ' + b"9" * 5000 + b"}", id="5,000 digits"),
        pytest.param(b"[" * 100_000, id="nesting"),
        pytest.param(b'{"model": "m", "x": ' + b"[" * 900 + b"]" * 900 + b"}", id="nesting in a member"),
        pytest.param(request(user("x"), tools=[{**TOOLS[0], "y": 1}, {"type": "custom"}]), id="a tool of another type"),
        pytest.param(
            b'{"model": "m", "messages": [{"role": "user", "content": "x", "y": ' + b"[" * 500 + b"]" * 500 + b"}]}",
            id="nesting in a message",
        ),
    ],
)
def test_refuses_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        read(raw)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param(request(user("x"), model=""), "model", id="no model"),
        pytest.param(request(), "messages", id="no message"),
        pytest.param(request({"role": "boss", "content": "x"}), "messages.0.role", id="unknown role"),
        pytest.param(request(user("x"), stream="yes"), "stream", id="stream is text"),
        pytest.param(request(user("x"), max_tokens=0), "max_tokens", id="no tokens"),
        pytest.param(request(user("x"), n=2), "n", id="two choices"),
        pytest.param(request(user("x"), stream_options={"include_usage": True}), "stream_options", id="unstreamed"),
        pytest.param(request(user("x"), RESULT), "messages.[1].role", id="a result without a call"),
        pytest.param(request(user("x"), CALLING), "messages.[2].role", id="a call without a result"),
        pytest.param(request(user("x"), CALLING, user("y")), "messages.[2].role", id="an interrupted call"),
        pytest.param(request(user("x"), CALLING, RESULT, RESULT), "messages.[3].role", id="answered twice"),
    ],
)
def test_names_what_is_wrong(body: bytes, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body)

    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "id", "type", "function", "name"]), inner)
    ),
)
MEMBERS = st.sampled_from(["model", "messages", "tools", "tool_choice", "stream", "stream_options", "max_tokens", "n"])


@settings(deadline=None)
@given(st.dictionaries(MEMBERS, JSON))
def test_any_json_is_read_or_refused(changed: dict[str, Any]) -> None:
    body = orjson.dumps({**orjson.loads(request(user("x"))), **changed})
    try:
        told = f"{read(body).input_tokens} tokens"
    except BadRequest as bad:
        told = bad.message

    assert told


def test_parts_and_developer_messages_are_understood() -> None:
    parts = [{"type": "text", "text": "wifi"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = asked({"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}).messages

    assert [(message.role, message.content) for message in messages] == [("system", "Be kind."), ("user", "wifi\n")]


def test_tokens_never_exceed_the_bytes_and_cached_ones_are_those_of_the_request_before() -> None:
    first, second = request(user(QUESTION * 2)), request(user(QUESTION * 2), CALLING, RESULT)

    asked_first, asked_second = read(first), read(second)

    assert asked_first.cached_tokens == 0
    assert asked_first.input_tokens % 16 != 0
    assert asked_second.cached_tokens == asked_first.input_tokens - asked_first.input_tokens % 16
    assert asked_first.input_tokens < asked_second.input_tokens < len(second)
    assert read(second) == asked_second
