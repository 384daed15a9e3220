"""Functions that cannot become tools, and what the engineer is told."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from agent.tools.tool import Repeat, ToolDefinitionError, tool


def undocumented(a: str) -> str:
    return a


def unannotated(a) -> str:  # type: ignore[no-untyped-def]
    """Does."""
    return str(a)


def positional(*args: str) -> str:
    """Does."""
    return ""


def keywords(**options: str) -> str:
    """Does."""
    return ""


def positional_only(a: str, /) -> str:
    """Does."""
    return a


def anything(a: Any) -> str:
    """Does."""
    return str(a)


def free_keys(a: dict[str, int]) -> str:
    """Does."""
    return str(a)


def nested_free_keys(a: list[dict[str, int]]) -> str:
    """Does."""
    return str(a)


def fixed_places(a: tuple[int, str]) -> str:
    """Does."""
    return str(a)


def bare_list(a: list) -> str:  # type: ignore[type-arg]
    """Does."""
    return str(a)


def not_there(a: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
    """Does."""
    return str(a)


def not_data(a: Callable[[], int]) -> str:
    """Does."""
    return str(a)


def misdescribed(a: str) -> str:
    """Does.

    Args:
        b: Not there.
    """
    return a


def generator(a: str) -> Iterator[str]:
    """Does."""
    yield a


async def async_generator(a: str) -> AsyncIterator[str]:
    """Does."""
    yield a


def größe(a: str) -> str:
    """Does."""
    return a


def with_key(idempotency_key: str) -> str:
    """Does."""
    return idempotency_key


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (undocumented, "has no docstring"),
        (unannotated, "parameter a has no annotation"),
        (positional, r"parameter \*args: .* cannot be called by name"),
        (keywords, r"parameter \*\*options: .* cannot be called by name"),
        (positional_only, "cannot be called by name"),
        (anything, "a may be any value at all"),
        (free_keys, "a is a dict with free keys"),
        (nested_free_keys, r"a\[\] is a dict with free keys"),
        (fixed_places, "a is a tuple of fixed places"),
        (bare_list, r"a\[\] may be any value at all"),
        (not_there, "an annotation cannot be read: name 'Missing' is not defined"),
        (not_data, "Cannot generate a JsonSchema"),
        (misdescribed, "the docstring describes b, which is no parameter"),
        (generator, "must be a plain `def` or `async def` function"),
        (async_generator, "must be a plain `def` or `async def` function"),
        (functools.partial(undocumented, "a"), "must be a plain `def` or `async def` function"),
        (größe, "the name must be 1 to 64 of the characters"),
        (with_key, '`idempotency_key: str` and `repeat="key"` go together'),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused(function: Callable[..., object], reason: str) -> None:
    with pytest.raises(ToolDefinitionError, match=reason) as caught:
        tool(function)
    assert str(caught.value).startswith("tool ")


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_bad_timeout_is_refused(timeout: float) -> None:
    with pytest.raises(ToolDefinitionError, match="tool undocumented: timeout is"):
        tool(timeout=timeout)(undocumented)


def test_a_bad_repeat_is_refused() -> None:
    bad: Repeat = "always"  # type: ignore[assignment]
    with pytest.raises(ToolDefinitionError, match="repeat is 'always'; it must be one of never, safe, key"):
        tool(repeat=bad)(undocumented)


def test_a_key_tool_needs_its_parameter() -> None:
    with pytest.raises(ToolDefinitionError, match="go together"):
        tool(repeat="key")(undocumented)
