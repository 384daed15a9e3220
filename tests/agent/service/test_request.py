"""What a client may send: taken, ignored and said to be, or refused with the parameter's name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.service.request import REFUSED, ChatRequest
from agent.types import Json
from tests.support.serving import Desk, serving

TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {}}}
REFUSALS: dict[str, Json] = {
    "tools": [TOOL],
    "tool_choice": "required",
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "response_format": {"type": "json_object"},
    "audio": {"voice": "alloy", "format": "wav"},
    "modalities": ["text", "audio"],
    "n": 2,
    "logprobs": True,
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
}
HARMLESS: dict[str, Json] = {
    "tools": [],
    "tool_choice": "auto",
    "functions": [],
    "function_call": "none",
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "n": 1,
    "logprobs": False,
    "audio": None,
}
IGNORED: dict[str, Json] = {
    "temperature": 0.1,
    "top_p": 0.5,
    "seed": 1,
    "user": "u",
    "store": True,
    "stop": ["x"],
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"1": 2},
    "top_logprobs": 0,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "service_tier": "auto",
    "safety_identifier": "s",
    "prompt_cache_key": "p",
    "something_new": {"a": [1]},
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(tmp_path, bounds={"output_tokens": 500}) as desk:
        yield desk


async def test_what_changes_the_answer_is_refused(desk: Desk) -> None:
    assert REFUSALS.keys() == REFUSED.keys()
    for name, value in REFUSALS.items():
        refused = await desk.ask(more={name: value})
        assert (refused.status, refused.error["param"], refused.error["code"]) == (400, name, "unsupported_parameter")
        assert refused.error["type"] == "invalid_request_error"
    assert desk.model.asked == []


async def test_what_asks_for_nothing_else_is_taken(desk: Desk) -> None:
    for name, value in HARMLESS.items():
        assert (await desk.ask(more={name: value})).status == 200, name
    answered = await desk.ask(more=HARMLESS)
    assert answered.status == 200
    assert "x-agent-ignored" not in answered.headers


async def test_what_is_ignored_is_said_to_be(desk: Desk) -> None:
    answered = await desk.ask(metadata={"trip": "1"}, more={**IGNORED, "né\r\n: x": 1})
    assert answered.status == 200
    assert answered.headers["x-agent-ignored"] == ", ".join(sorted(IGNORED))
    async with desk.asking(stream=True, seed=1) as response:
        assert response.headers["x-agent-ignored"] == "seed"
        await response.read()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": 5}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "messages.1.role"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"stream_options": 1}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"max_completion_tokens": "5"}, "max_completion_tokens"),
        ({"metadata": {"conversation_id": 5}}, "metadata.conversation_id"),
        ({"metadata": {"conversation_id": ""}}, "metadata.conversation_id"),
        ({"n": True}, "n"),
    ],
)
async def test_what_is_wrong_is_named(desk: Desk, body: dict[str, Json], param: str) -> None:
    refused = await desk.ask(more=body)
    assert (refused.status, refused.error["param"]) == (400, param), refused.body
    assert desk.turns() == []


@pytest.mark.parametrize(
    "messages", [[{}] * 9999, [{"role": "user", "content": [1] * 9999}], [{"content": [1]}] * 9999]
)
def test_what_is_wrong_many_times_is_found_once(messages: list[Json]) -> None:
    with pytest.raises(ValidationError) as found:
        ChatRequest.model_validate({"model": "desk", "messages": messages})
    assert found.value.error_count() <= 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"model": NaN}',
    ],
)
async def test_what_is_no_json_object_is_refused(desk: Desk, body: bytes) -> None:
    url = f"{desk.served.url}/chat/completions"
    async with desk.http.post(url, data=body, headers={"content-type": "application/json"}) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"], error["type"]) == (400, "invalid_json", "invalid_request_error")


@pytest.mark.parametrize(
    ("given", "cap"),
    [
        ({}, 500),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60}, 60),
        ({"max_tokens": 70, "max_completion_tokens": 80}, 70),
        ({"max_tokens": 900}, 500),
        ({"max_completion_tokens": 5000}, 500),
        ({"max_tokens": None, "max_completion_tokens": 90}, 90),
    ],
)
async def test_a_cap_is_lowered_and_never_raised(desk: Desk, given: dict[str, Json], cap: int) -> None:
    assert (await desk.ask(more=given)).status == 200
    assert desk.model.asked[-1].cap == cap


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "input_audio"}])
async def test_text_is_what_is_read(desk: Desk, part: Json) -> None:
    parts: list[Json] = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]
    assert (await desk.ask(messages=[{"role": "user", "content": parts}])).status == 200
    assert desk.model.said[-1] == ("user", "Hello\nthere")
    refused = await desk.ask(messages=[{"role": "user", "content": [*parts, part]}])
    assert (refused.status, refused.error["code"]) == (400, "unsupported_content")
    assert refused.error["param"] == "messages.0.content.2.type"
