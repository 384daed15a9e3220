"""Faults in tool calls. Each edits the body of a reply in place.

They do nothing to a request that offers no tools: no model could call any there.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from pydantic import JsonValue

from agent.offline.facts import SEARCH, gather
from agent.offline.helpdesk import numbered
from agent.offline.protocol import Argument, Body, call_body, usage
from agent.offline.request import Asked
from agent.offline.schema_arguments import Arguments


def malformed_arguments(asked: Asked, body: Body, _: Argument) -> None:
    """Every tool call's arguments end in the middle of their JSON."""
    for call in _calls(asked, body):
        call["function"]["arguments"] = call["function"]["arguments"][:-3]


def absent_arguments(asked: Asked, body: Body, _: Argument) -> None:
    """Every tool call has no member `arguments` at all."""
    for call in _calls(asked, body):
        del call["function"]["arguments"]


def null_arguments(asked: Asked, body: Body, _: Argument) -> None:
    """Every tool call has `arguments: null`."""
    for call in _calls(asked, body):
        call["function"]["arguments"] = None


def unknown_tool(asked: Asked, body: Body, name: Argument) -> None:
    """The argument is the name of a tool that nobody offered; it is called instead of the first one."""
    for call in _calls(asked, body)[:1]:
        call["function"]["name"] = name


def duplicate_calls(asked: Asked, body: Body, _: Argument) -> None:
    """The first tool call is sent twice, whole, both times with the id "0" and the index 0."""
    for call in _calls(asked, body)[:1]:
        call.update(id="0", index=0)
        body["choices"][0]["message"]["tool_calls"] = [call, dict(call)]


def repeated_calls(asked: Asked, body: Body, _: Argument) -> None:
    """The same one call in answer to whatever is sent, for as long as tools are offered."""
    _call(asked, body, [0])


def cycle(asked: Asked, body: Body, length: Argument) -> None:
    """One call per reply, the first again after as many different ones as the argument says."""
    since_user = takewhile(lambda message: message.role != "user", reversed(asked.messages))
    replies = sum(bool(message.tool_calls) for message in since_user)
    _call(asked, body, [replies % int(length)])


def parallel_calls(asked: Asked, body: Body, count: Argument) -> None:
    """As many different tool calls in one reply as the argument says."""
    _call(asked, body, list(range(int(count))))


def _calls(asked: Asked, body: Body) -> list[Body]:
    """The reply's tool calls; where it has none, one of the first tool is put there."""
    if not asked.tools:
        return []
    if not body["choices"][0]["message"].get("tool_calls"):
        _call(asked, body, [0])
    calls: list[Body] = body["choices"][0]["message"]["tool_calls"]
    return calls


def _call(asked: Asked, body: Body, kinds: list[int]) -> None:
    """Replaces what was said by calls, one per kind; different kinds are different calls."""
    if not asked.tools:
        return
    calls = numbered(asked, [_kind(asked, kind) for kind in kinds])
    message: Body = {"role": "assistant", "content": None, "tool_calls": [call_body(call) for call in calls]}
    output = sum(len(call.name) + len(call.arguments) for call in calls) // 4
    body["choices"][0].update(message=message, finish_reason="tool_calls")
    body["usage"] = usage(asked.input_tokens, output, asked.cached_tokens)


def _kind(asked: Asked, kind: int) -> tuple[str, Mapping[str, JsonValue]]:
    """The search first: it takes any words, so that calls made different by a number still run."""
    tool = min(asked.tools, key=lambda offered: offered.name != SEARCH)
    filled = Arguments(tool.parameters, gather(asked.messages).question).build()
    if kind:
        filled = {name: f"{value} {kind}" if isinstance(value, str) else value for name, value in filled.items()}
    return tool.name, filled
