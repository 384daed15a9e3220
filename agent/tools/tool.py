"""From an annotated Python function with a docstring to a tool that a model can call."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args, overload

import orjson
from pydantic import PydanticUserError

from agent.tools.arguments import Arguments, Parameter, checker, parameters_of
from agent.tools.docstring import Described, described
from agent.tools.schema import strict
from agent.types import Json

Repeat: TypeAlias = Literal["never", "safe", "key"]
"""May a call that began and was not seen to end be run again? `never`; `safe`: yes; `key`: yes, with the same key."""

KEY = "idempotency_key"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class ToolDefinitionError(Exception):
    """The engineer's function cannot become a tool; says which and why."""


class ToolConfigError(Exception):
    """Raised by a module's `tools(config)`: what in the configuration is wrong, in words for the operator."""


class ToolError(Exception):
    """Raised by a tool to tell the model something in plain words, such as "there is no user U-999"."""


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A typed tool.

    `schema` is the strict JSON schema of its arguments, `encoded` the JSON of its entry in a request's `tools`.
    `validate` takes the raw text of a call's arguments (nothing and `null` are an empty object; of a key that is
    there twice, the last counts) and gives keyword arguments for `run`; it raises pydantic.ValidationError.
    `run` is the function itself. A `blocking` one (`def`) runs in a thread. `timeout` is in seconds.
    """

    name: str
    description: str
    schema: Mapping[str, Json]
    encoded: bytes
    validate: Callable[[str], Arguments]
    run: Callable[..., object]
    blocking: bool
    timeout: float
    repeat: Repeat


@overload
def tool(function: Callable[..., object], /) -> Tool: ...
@overload
def tool(*, repeat: Repeat = "never", timeout: float = 30.0) -> Callable[[Callable[..., object]], Tool]: ...
def tool(
    function: Callable[..., object] | None = None, /, *, repeat: Repeat = "never", timeout: float = 30.0
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Makes a `def` or `async def` a tool: annotations become its schema, the docstring (Google style) its words.

    A parameter with a default may be left out or given as null. A tool with `repeat="key"` has a keyword parameter
    `idempotency_key: str` that the model does not see. Raises ToolDefinitionError.
    """
    if function is None:
        return lambda function: _tool(function, repeat, timeout)
    return _tool(function, repeat, timeout)


def _tool(function: Callable[..., object], repeat: Repeat, timeout: float) -> Tool:
    name = getattr(function, "__name__", repr(function))
    try:
        _check(function, name, repeat, timeout)
        words = described(inspect.getdoc(function))
        parameters = _shown(parameters_of(function), repeat)
        _check_words(words, parameters)
        adapter, validate = checker(name, parameters, words.parameters)
        schema = strict(adapter.json_schema())
    except (ValueError, PydanticUserError) as error:
        raise ToolDefinitionError(f"tool {name}: {error}") from error
    entry = {"name": name, "description": words.summary, "parameters": schema, "strict": True}
    encoded = orjson.dumps({"type": "function", "function": entry})
    blocking = not inspect.iscoroutinefunction(function)
    return Tool(name, words.summary, schema, encoded, validate, function, blocking, timeout, repeat)


def _check(function: Callable[..., object], name: str, repeat: Repeat, timeout: float) -> None:
    if not inspect.isroutine(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValueError("must be a plain `def` or `async def` function")
    if not _NAME.fullmatch(name):
        raise ValueError("the name must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")
    if repeat not in get_args(Repeat):
        raise ValueError(f"repeat is {repeat!r}; it must be one of {', '.join(get_args(Repeat))}")
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout is {timeout!r}; it must be a number of seconds above 0")


def _shown(parameters: Mapping[str, Parameter], repeat: Repeat) -> dict[str, Parameter]:
    """The parameters that the model fills in."""
    if (repeat == "key") != (KEY in parameters):
        raise ValueError(f'a keyword parameter `{KEY}: str` and `repeat="key"` go together')
    return {name: parameter for name, parameter in parameters.items() if name != KEY}


def _check_words(words: Described, parameters: Mapping[str, Parameter]) -> None:
    if not words.summary:
        raise ValueError("has no docstring; the model reads it to know what the tool is for")
    if unknown := words.parameters.keys() - parameters.keys() - {KEY}:
        raise ValueError(f"the docstring describes {', '.join(sorted(unknown))}, which is no parameter")
