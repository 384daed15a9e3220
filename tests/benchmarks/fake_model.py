"""The fastest model there is: `python -m tests.benchmarks.fake_model [SECONDS]` answers, after so long, with bytes that
were made beforehand.

No tool result in the request: two tool calls; a tool result, or no tools: a text of 64 chunks. Prints its port. Takes
spans too, and throws them away.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TypeAlias

from tests.benchmarks.program import EXPECTED

TEXT = " ".join(["Restart the router, wait two minutes and join the network again."] * 5) + f" We book a {EXPECTED}"
CALLS = [("lookup_user", '{"user_id":"U-123"}'), ("search_kb", '{"query":"wifi"}')]
HEADERS = (
    b"date: Tue, 24 Nov 2026 10:00:00 GMT\r\nopenai-organization: org-x\r\nopenai-processing-ms: 1\r\n"
    b"openai-version: 2020-10-01\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
    b"x-request-id: req_0123456789abcdef\r\n"
)
CHUNKS = 64


Members: TypeAlias = dict[str, object]


def usage(prompt: int, completion: int, cached: int) -> Members:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def body(kind: str, choices: list[object], **more: object) -> bytes:
    whole: Members = {"id": "chatcmpl-1", "object": kind, "created": 1795600000, "model": "gpt-4o-mini-2024-07-18"}
    return json.dumps(
        whole | {"service_tier": "default", "system_fingerprint": "fp", "choices": choices} | more
    ).encode()


def whole(message: Members, finish: str, used: Members) -> bytes:
    choice: object = {"index": 0, "message": {"role": "assistant", "refusal": None, **message}, "finish_reason": finish}
    content = body("chat.completion", [choice], usage=used)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n" % (
        HEADERS,
        len(content),
    )
    return head + content


def events(deltas: list[Members], finish: str, used: Members) -> bytes:
    choices: list[object] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    bodies = [body("chat.completion.chunk", [choice], usage=None) for choice in choices]
    bodies.append(body("chat.completion.chunk", [], usage=used))
    lines = [b"data: %b\n\n" % text for text in (*bodies, b"[DONE]")]
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%btransfer-encoding: chunked\r\n\r\n" % HEADERS
    return head + chunked


def called() -> list[Members]:
    return [
        {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(CALLS)
    ]


def pieces() -> list[Members]:
    size = -(-len(TEXT) // (CHUNKS - 2))
    texts: list[Members] = [{"content": TEXT[n : n + size]} for n in range(0, len(TEXT), size)]
    return [{"role": "assistant", "content": ""}, *texts]


TOOLS = whole({"content": None, "tool_calls": called()}, "tool_calls", usage(412, 46, 256))
ANSWER = whole({"content": TEXT}, "stop", usage(520, 64, 384))
TOOLS_STREAM = events([{"role": "assistant", "tool_calls": called()}], "tool_calls", usage(412, 46, 256))
ANSWER_STREAM = events(pieces(), "stop", usage(520, 64, 384))
TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def answer(path: bytes, request: bytes) -> bytes:
    if not path.endswith(b"/chat/completions"):
        return TAKEN
    compact = request.replace(b'": ', b'":')
    asks_for_tools = b'"tools":' in compact and b'"role":"tool"' not in compact
    if b'"stream":true' in compact:
        return TOOLS_STREAM if asks_for_tools else ANSWER_STREAM
    return TOOLS if asks_for_tools else ANSWER


class Protocol(asyncio.Protocol):
    """HTTP/1.1 with bodies whose length is stated, kept alive."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        _, _, stated = head.lower().partition(b"\r\ncontent-length:")
        length = int(stated.partition(b"\r\n")[0])
        if len(rest) >= length:
            self._buffer = rest[length:]
            said = answer(head.split(b" ", 2)[1], rest[:length])
            if self._latency and said is not TAKEN:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, said)
            else:
                self._transport.write(said)


async def main(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(latency), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until whoever asked for it closes it


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if sys.argv[1:] else 0.0))
