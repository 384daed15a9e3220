"""What the model is told about a tool call: a result as text, or what was wrong and what was expected.

A tool's exception is told with its message, which is content like any result: it goes to the model and the journal,
and to telemetry only where content is captured. `error_type` is fit for a label.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json

from agent.tools.tool import Tool, ToolError
from agent.types import ToolCall, ToolResult
from agent.unicode import storable
from telemetry.failure import qualified_name

_ERRORS_SHOWN = 10
_FOUND_SHOWN = 80


def content_of(value: object) -> str:
    """A tool's return value as text: a string as it is, all else as JSON. Raises TypeError."""
    if type(value) is str:
        return value
    try:
        return to_json(value, inf_nan_mode="strings").decode()
    except ValueError as error:
        raise TypeError(f"the result, a {type(value).__name__}, cannot be written as JSON: {error}") from error


def capped(text: str, limit: int) -> str:
    """At most `limit` (256 or more) bytes of UTF-8, with a note of what was cut; fit for every store and provider."""
    text = storable(text)
    data = text.encode()
    if len(data) <= limit:
        return text
    note = "\n[Cut here: the result has {:,} bytes, of which the first {:,} are shown.]"
    room = limit - len(note.format(len(data), limit))
    shown = data[:room].decode(errors="ignore")
    return shown + note.format(len(data), len(shown.encode()))


def failed(call: ToolCall, error: BaseException, limit: int) -> ToolResult:
    """The tool raised."""
    message = _message(error)
    if isinstance(error, ToolError):
        return ToolResult(call, capped(f"Error: {message}", limit), "tool_error")
    kind = qualified_name(error)
    return ToolResult(call, capped(f"Error: {call.name} failed with {kind}: {message}", limit), kind)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  an engineer's __str__ must not end the turn
        return "(its message cannot be shown)"


def timed_out(call: ToolCall, tool: Tool, *, begun: bool = True) -> ToolResult:
    """`begun` is False where the call had still waited for a thread."""
    if begun:
        text = f"Error: {tool.name} did not answer within {tool.timeout:g} s. Whether it took effect is not known."
    else:
        text = f"Error: {tool.name} was not started: all threads for tools were busy for {tool.timeout:g} s."
    return ToolResult(call, text, "timeout")


def invalid_arguments(call: ToolCall, tool: Tool, error: ValidationError, limit: int) -> ToolResult:
    """The arguments don't fit the schema: each name, what was found, what was expected."""
    errors = error.errors(include_url=False, include_context=False)
    lines = [_fault(details) for details in errors[:_ERRORS_SHOWN]]
    if len(errors) > _ERRORS_SHOWN:
        lines.append(f"- and {len(errors) - _ERRORS_SHOWN} more")
    schema = orjson.dumps(tool.schema).decode()
    text = "\n".join([
        f"Error: the arguments of {tool.name} are not valid. It was not run.",
        *lines,
        f"Expected is a JSON object of this schema: {schema}",
    ])  # fmt: skip
    return ToolResult(call, capped(text, limit), "invalid_arguments")


def _fault(details: ErrorDetails) -> str:
    where = ".".join(map(str, details["loc"])) or "arguments"
    if details["type"] == "missing":
        return f"- {where}: missing"
    expected = "there is no such argument" if details["type"] == "extra_forbidden" else details["msg"]
    found = json.dumps(details["input"], ensure_ascii=False, default=str)
    return f"- {where}: {expected}; found {found if len(found) <= _FOUND_SHOWN else found[:_FOUND_SHOWN] + ' …'}"


def unknown_tool(call: ToolCall, known: Collection[str]) -> ToolResult:
    """The model asked for a tool that isn't there."""
    name = call.name[:64]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    tools = f"The tools are: {', '.join(known)}." if known else "There are no tools."
    return ToolResult(call, storable(f"Error: there is no tool {name!r}.{hint} {tools}"), "unknown_tool")


def not_run(call: ToolCall, reason: str) -> ToolResult:
    """The call was refused by a bound of the agent's."""
    return ToolResult(call, f"Not run: {reason}", "not_run")


def outcome_unknown(call: ToolCall) -> ToolResult:
    """The call had begun when its process died, and its tool declares `repeat="never"`."""
    text = (
        f"Outcome unknown: {call.name} was running when the process ended, and is not run again. "
        "It may have taken effect; check before you ask for it once more."
    )
    return ToolResult(call, storable(text), "outcome_unknown")
