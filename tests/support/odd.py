"""What providers might send: valid replies, whole or streamed, spoilt in every way that JSON and its wire allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from agent.offline.faults import Fault
from agent.offline.wire import of_bytes, of_events

Draw = Callable[[st.SearchStrategy[Any]], Any]
"""Hypothesis's `draw`, which no type follows."""

MEMBERS = (
    *("choices", "delta", "message", "content", "tool_calls", "function", "function_call", "name", "arguments", "id"),
    *("index", "type", "text", "finish_reason", "refusal", "usage", "x_groq", "prompt_tokens", "completion_tokens"),
    *("total_tokens", "prompt_tokens_details", "completion_tokens_details", "cached_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cost", "cost_details", "is_byok", "error", "code", "detail", "status", "model", "custom"),
    *("service_tier", "system_fingerprint", "num_cached_tokens", "prompt_cache_hit_tokens", "audio_tokens"),
)


class Raw(str):
    """JSON text that Python's own encoder would not write."""

    __slots__ = ()


ODD = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 7, 163, 1.5, 2.0, -0.0, 1e308, 2**53, 2**63, 2**64, -(2**70)]),
    st.sampled_from(["", " ", "0", "12", "{}", "null", "stop", "tool_calls", "length", "content_filter", "search_kb"]),
    st.sampled_from(["\x00", "\ud800", "\udc00x", "\ud83d\ude00", "😀", "﷽", "\r\n\r\n", "data: x"]),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 10**400]),
    st.sampled_from([[], {}, [[]], [None], [{}], {"": {}}, [{"text": "a"}, {"type": "text", "text": "b"}, 3]]),
    st.just(20_000).map(lambda length: "x" * length),
    st.just(5_000).map(lambda digits: Raw("9" * digits)),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.integers(50, 3000).map(lambda depth: Raw("[" * depth + "]" * depth)),
    st.integers(50, 900).map(lambda depth: Raw('{"a":' * depth + "NaN" + "}" * depth)),
)
"""Values of every type, in no type's place."""


def usages() -> st.SearchStrategy[object]:
    counts = st.integers(0, 2000)
    return st.one_of(
        st.tuples(counts, counts, counts).map(
            lambda n: {
                "prompt_tokens": n[0],
                "completion_tokens": n[1],
                "total_tokens": n[0] + n[1],
                "prompt_tokens_details": {"cached_tokens": n[2]},
            }
        ),
        st.dictionaries(st.sampled_from(MEMBERS), ODD | counts, max_size=5),
        ODD,
    )


def messages() -> st.SearchStrategy[dict[str, Any]]:
    call = st.fixed_dictionaries(
        {
            "id": st.sampled_from(["call_1", "call_2", "0", ""]),
            "type": st.sampled_from(["function", "custom", None]),
            "function": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["search_kb", "order_part", "no_such_tool", "functions.search kb"]),
                    "arguments": st.sampled_from(['{"query": "wifi"}', '{"name": "screen"}', '{"query": ', "", "[]"]),
                }
            ),
        }
    )
    return st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.sampled_from(["Turn it off.", "Two words", "", None])},
        optional={"tool_calls": st.lists(call, min_size=1, max_size=3)},
    )


@st.composite
def replies(draw: Draw) -> Fault:
    """A reply as a fault that sends it: what was asked for or the other kind, whole or broken."""
    body = _body(draw)
    if draw(st.booleans()):
        return _sent_whole(draw, _spoilt(draw, body))
    return _streamed(draw, [_spoilt(draw, chunk) for chunk in _shuffled(draw, _chunks(body))])


def _body(draw: Draw) -> dict[str, Any]:
    finish = draw(st.sampled_from(["stop", "tool_calls", "length", "", None, "eos", "content_filter"]))
    return {
        "id": "chatcmpl-1",
        "model": draw(st.sampled_from(["small", "small-2026-01-01", "another", ""])),
        "choices": [{"index": 0, "message": draw(messages()), "finish_reason": finish}],
        "usage": draw(usages()),
    }


def _chunks(body: dict[str, Any]) -> list[dict[str, Any]]:
    head = {"id": body["id"], "model": body["model"]}
    (choice,) = body["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [
        {"role": "assistant"},
        *({"content": word} for word in (message["content"] or "").split()),
    ]
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        half = len(function["arguments"]) // 2
        deltas.append(
            {
                "tool_calls": [
                    {"index": index, **call, "function": {**function, "arguments": function["arguments"][:half]}}
                ]
            }
        )
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"][half:]}}]})
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    return [*chunks, {**head, "choices": [], "usage": body["usage"]}]


def _shuffled(draw: Draw, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dropped, doubled, out of order, with usage where it does not belong."""
    chunks = list(chunks)
    for what in draw(st.lists(st.sampled_from(["drop", "double", "swap", "usage", "error"]), max_size=3)):
        if not chunks:
            break
        at = draw(st.integers(0, len(chunks) - 1))
        if what == "drop":
            del chunks[at]
        elif what == "double":
            chunks.insert(at, chunks[at])
        elif what == "swap":
            chunks.append(chunks.pop(at))
        elif what == "usage":
            place = draw(st.sampled_from(["usage", "x_groq"]))
            used = draw(usages())
            chunks[at] = {**chunks[at], place: used if place == "usage" else {"usage": used}}
        else:
            chunks[at] = {**chunks[at], "error": draw(ODD)}
    return chunks


def _spoilt(draw: Draw, value: dict[str, Any]) -> dict[str, Any]:
    """With up to two members replaced, removed or added somewhere within."""
    value = deepcopy(value)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        node: Any = value
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys)) if keys else None
            if key is None or not isinstance(node[key], dict | list) or draw(st.booleans()):
                break
            node = node[key]
        how = draw(st.sampled_from(["replace", "remove", "add"]))
        if how == "add" and isinstance(node, dict):
            node[draw(st.sampled_from(MEMBERS))] = deepcopy(draw(ODD))
        elif how == "remove" and key is not None:
            del node[key]
        elif key is not None:
            node[key] = deepcopy(draw(ODD))
    return value


def json_of(value: object) -> bytes:
    """JSON as a careless server writes it: NaN, lone surrogates, numbers without end."""
    found: list[str] = []

    def marked(part: object) -> object:
        if isinstance(part, Raw):
            found.append(part)
            return f"@raw{len(found) - 1}@"
        if isinstance(part, dict):
            return {key: marked(inner) for key, inner in part.items()}
        return [marked(inner) for inner in part] if isinstance(part, list) else part

    text = json.dumps(marked(value))
    for number, raw in enumerate(found):
        text = text.replace(f'"@raw{number}@"', raw)
    return text.encode()


def _sent_whole(draw: Draw, body: dict[str, Any]) -> Fault:
    data = json_of(body)
    data = draw(st.sampled_from([data, data, data, data[: len(data) // 2], b"\xef\xbb\xbf" + data, b" \n" + data, b""]))
    status = draw(st.sampled_from([200, 200, 200, 200, 400, 429, 500]))
    kind = draw(st.sampled_from(["application/json", "application/json", "text/plain", "application/octet-stream"]))
    return Fault("raw", headers={"content-type": kind}, raw=of_bytes(data, status))


def _streamed(draw: Draw, chunks: list[dict[str, Any]]) -> Fault:
    end = draw(st.sampled_from([b"\n\n", b"\n\n", b"\r\n\r\n", b"\n"]))
    head = draw(st.sampled_from([b"data: ", b"data: ", b"data:", b" data: ", b"id: 7\ndata: ", b": hello\n\ndata: "]))
    events = [head + json_of(chunk) + end for chunk in chunks]
    oddities = [
        b": keep-alive\n\n",
        b"\n",
        b"event: error\n",
        b'error: {"message": "no"}\n\n',
        b"data: {\n\n",
        b"data:\n\n",
    ]
    for odd in draw(st.lists(st.sampled_from(oddities), max_size=1)):
        events.insert(draw(st.integers(0, len(events))), odd)
    events += draw(st.sampled_from([[b"data: [DONE]\n\n"], [b"data: [DONE]\n\n"], [], [b"data: [DONE]"]]))
    if draw(st.integers(0, 9)) == 0:
        events = [b"".join(events)[: -draw(st.integers(1, 60))]]
    kind = draw(st.sampled_from(["text/event-stream", "text/event-stream", "text/plain", "application/json"]))
    return Fault("raw", headers={"content-type": kind}, raw=replace(of_events(events), content_type=kind))
