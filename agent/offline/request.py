"""What a client asks: a request body validated as strictly as OpenAI does, and sized in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from agent.types import Message, Role, ToolCall

BYTES_PER_TOKEN = 4
CACHE_STEP = 16


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool of the request; `parameters` is its JSON schema."""

    name: str
    parameters: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat request. `tools` is empty under `tool_choice: none`; one of `forced` must be called, if there are any.

    `cached_tokens` are what the conversation's previous request had in common with this one, and lie inside
    `input_tokens`. `cap` is the most output tokens that may be spent.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[OfferedTool, ...]
    forced: tuple[OfferedTool, ...]
    stream: bool
    include_usage: bool
    cap: int | None
    input_tokens: int
    cached_tokens: int


class BadRequest(Exception):
    """The request is at fault: HTTP 400. `param` names the member as OpenAI does (`messages.2.content`)."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def tokens(text: bytes) -> int:
    """A token is four bytes of UTF-8, rounded up: never more than the bytes, so that a byte bound holds."""
    return -(-len(text) // BYTES_PER_TOKEN)


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True)


class _Part(_Wire):
    type: str
    text: str = ""


class _Function(_Wire):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    arguments: str


class _Call(_Wire):
    id: str = Field(min_length=1)
    type: Literal["function"]
    function: _Function


class _Message(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _ToolFunction(_Wire):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class _Tool(_Wire):
    type: Literal["function"]
    function: _ToolFunction


class _StreamOptions(_Wire):
    include_usage: bool = False


class _Named(_Wire):
    name: str


class _Choice(_Wire):
    type: Literal["function"]
    function: _Named


class _Request(_Wire):
    model: str = Field(min_length=1)
    messages: list[_Message] = Field(min_length=1)
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Choice | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Literal[1] | None = None


_REQUEST = TypeAdapter(_Request)


def read(raw: bytes) -> Asked:
    """The request, or BadRequest for what OpenAI answers 400 to: text that is no JSON, members amiss, orphan calls."""
    body = _parsed(raw)
    try:
        request = _REQUEST.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"Invalid value for '{where}': {first['msg']}.", where or None) from error
    if request.stream_options and not request.stream:
        raise BadRequest("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    messages = tuple(_message(message) for message in request.messages)
    _check_answered(messages)
    offered = tuple(OfferedTool(tool.function.name, tool.function.parameters) for tool in request.tools or ())
    size, cached = _sizes(body)
    return Asked(
        model=request.model,
        messages=messages,
        tools=() if request.tool_choice == "none" else offered,
        forced=_forced(request.tool_choice, offered),
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        cap=min((cap for cap in (request.max_tokens, request.max_completion_tokens) if cap), default=None),
        input_tokens=size,
        cached_tokens=cached,
    )


def _parsed(raw: bytes) -> Any:
    """orjson refuses lone surrogates, integers without end and endless nesting, each of which crashes real servers."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"We could not parse the JSON body of your request: {error.msg} (at {error.pos})."
        raise BadRequest(message) from error


def _message(message: _Message) -> Message:
    role: Role = "system" if message.role == "developer" else message.role
    content = message.content or ""
    text = content if isinstance(content, str) else "\n".join(part.text for part in content)
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())
    return Message(role, text, calls, message.tool_call_id)


def _check_answered(messages: tuple[Message, ...]) -> None:
    """Every tool call is answered before anything else is said, and nothing else is answered."""
    waiting: dict[str, None] = {}
    for position, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise BadRequest(f"Invalid parameter: {text}", f"messages.[{position}].role")
            del waiting[message.tool_call_id]
        elif waiting:
            _raise_unanswered(waiting, position)
        else:
            waiting = {call.id: None for call in message.tool_calls}
    if waiting:
        _raise_unanswered(waiting, len(messages))


def _raise_unanswered(waiting: dict[str, None], position: int) -> None:
    raise BadRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
        f"messages.[{position}].role",
    )


def _forced(choice: str | _Choice | None, offered: tuple[OfferedTool, ...]) -> tuple[OfferedTool, ...]:
    if isinstance(choice, _Choice):
        named = tuple(tool for tool in offered if tool.name == choice.function.name)
        if not named:
            raise BadRequest(f"Tool choice '{choice.function.name}' not found in 'tools'.", "tool_choice")
        return named
    return offered if choice == "required" else ()


def _sizes(body: Any) -> tuple[int, int]:
    """Input tokens, and how many of them the conversation's previous request had sent (rounded down, as caches do)."""
    try:
        sizes = [tokens(orjson.dumps(message)) for message in body["messages"]]
        tools = tokens(orjson.dumps(body["tools"])) if body.get("tools") else 0
    except orjson.JSONEncodeError as error:
        raise BadRequest("The JSON body of your request is nested too deeply.") from error
    answers = [position for position, message in enumerate(body["messages"]) if message["role"] == "assistant"]
    before = tools + sum(sizes[: answers[-1]]) if answers else 0
    return tools + sum(sizes), before - before % CACHE_STEP
