"""What is not to be seen is not exported: a canary in everything that content can be in, and its way out.

Logs are at DEBUG, where libraries print whole requests.
"""

from __future__ import annotations

import asyncio
import gc
import io
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from agent.types import Event, TextDelta
from telemetry import logs
from tests.stories import secretive
from tests.stories.support import Collector, Told, telling
from tests.support.conformance.span_tables import CONTENT, TOOL_CONTENT
from tests.support.stage import answer, call, calls

PROMPT, VARIABLE, QUESTION, ARGUMENT, BROKEN, ANSWER = (
    f"canary-{part}" for part in ("prompt", "variable", "question", "argument", "broken", "answer")
)
PROVIDER, HEADER, KEY, PARENT, TOOL = (f"canary-{part}" for part in ("provider", "header", "key", "parent", "tool"))
CAPTURED = {
    PROMPT,
    VARIABLE,
    QUESTION,
    ARGUMENT,
    BROKEN,
    ANSWER,
    secretive.RESULT,
    secretive.FAILURE,
    secretive.ERROR,
    TOOL,
}
"""Content. What providers say of an error, headers and keys are none: they leave in no mode."""
NEVER = {PROVIDER, HEADER, KEY, PARENT}
SECRETS = ("hunter2hunter2", "alex@example.com", "4111 1111 1111 1111")
MODES = {
    "": frozenset(),
    "NO_CONTENT": frozenset(),
    "SPAN_ONLY": frozenset({"traces"}),
    "EVENT_ONLY": frozenset({"logs"}),
    "SPAN_AND_EVENT": frozenset({"traces", "logs"}),
}


@pytest.fixture(name="log")
def _log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize("mode", MODES)
async def test_content_leaves_where_it_was_asked_to(
    tmp_path: Path, collector: Collector, log: io.StringIO, mode: str
) -> None:
    env = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": mode, "SECRET_KEY": KEY}
    async with telling(
        tmp_path,
        collector,
        tools=["tests.stories.secretive"],
        model={"api_key_env": "SECRET_KEY"},
        prompts={
            1: f"---\nvariables: {{house: {{type: text}}}}\n---\nYou are a helpdesk. {PROMPT} of {{{{ house }}}}."
        },
        variables={"house": VARIABLE},
        env=env,
    ) as told:
        for stream in (True, False):
            await everything_is_said(told, stream)
        await a_caller_leaves(told)
        await a_task_is_forgotten()
    assert collector.findings(content_captured=bool(MODES[mode])) == []
    seen = {signal: found(collector, signal) for signal in ("traces", "logs", "metrics")}
    assert seen == {signal: CAPTURED if signal in MODES[mode] else set() for signal in seen}
    for hidden in ("canary-", *SECRETS):
        assert hidden not in log.getvalue()
    for secret in SECRETS:
        assert secret.encode() not in collector.received.raw
    assert "never retrieved" in log.getvalue()
    assert carried(collector) == (ATTRIBUTES if "traces" in MODES[mode] else {})


MESSAGES = {"gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"}
ATTRIBUTES = {
    "invoke_agent": MESSAGES,
    "chat": MESSAGES | {"gen_ai.prompt.variable.house"},
    "execute_tool": {"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"},
}


def carried(collector: Collector) -> dict[str, set[str]]:
    """The content attributes of each operation's spans."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for span in collector.received.spans:
        operation = span.name.split(" ")[0]
        names = [name for name in span.attributes if name in CONTENT | TOOL_CONTENT or ".variable." in name]
        if names:
            seen[operation].update(names)
    return seen


async def everything_is_said(told: Told, stream: bool) -> None:
    told.server.faults.push(
        Fault.raw_json(
            {"error": {"message": PROVIDER, "type": "server_error", "param": PROVIDER, "code": None}},
            500,
            headers={"x-request-id": HEADER, "x-ratelimit-reset": HEADER, "set-cookie": f"a={HEADER}"},
        ),
        calls(
            stream,
            call("search_kb", f'{{"query": "{ARGUMENT}"}}', "call_1"),
            call("search_kb", f'{{"query": "{BROKEN}', "call_2"),
            call("fail", '{"why": "rudely"}', "call_3"),
            call("fail", '{"why": "politely"}', "call_4"),
            call(TOOL, "{}", "call_5"),
        ),
        answer(stream, ANSWER),
    )
    result = await told.app.ask(
        f"{QUESTION}: my password is: {SECRETS[0]}, my card {SECRETS[2]}",
        stream=stream,
        traceparent=f"00-{PARENT}",
    )
    assert result.text == ANSWER
    told.server.faults.push(Fault.raw_body(PROVIDER.encode(), 400), Fault.raw_body(f"<{PROVIDER}>".encode(), times=3))
    for _ in range(2):
        assert (await told.app.ask(QUESTION, stream=stream)).outcome == "provider_failed"


async def a_caller_leaves(told: Told) -> None:
    async def emit(event: Event) -> None:
        if isinstance(event, TextDelta):
            raise RuntimeError(f"cannot show {event.text}")

    told.server.faults.push(answer(True, f"{ANSWER} {ANSWER}"))
    with pytest.raises(RuntimeError):
        await told.app.ask(QUESTION, emit=emit)


async def a_task_is_forgotten() -> None:
    """As a tool may do it."""

    async def failing() -> None:
        raise RuntimeError(secretive.FAILURE)

    forgotten = asyncio.create_task(failing())
    await asyncio.wait([forgotten])
    del forgotten
    gc.collect()


def found(collector: Collector, signal: str) -> set[str]:
    """Which canaries are in the exported bytes of a signal."""
    raw = b"".join(request.body for request in collector.received.requests if request.signal == signal)
    assert not [canary for canary in NEVER if canary.encode() in raw]
    return {canary for canary in CAPTURED if canary.encode() in raw}
