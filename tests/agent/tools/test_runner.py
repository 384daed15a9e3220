from __future__ import annotations

import asyncio
import contextvars
import threading
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel

from agent.tools.runner import run_tool
from agent.tools.threads import ToolThreads
from agent.tools.tool import Tool, ToolError, tool
from agent.types import ToolCall, ToolResult

THREADS = ToolThreads(4)
who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def run(asked: Tool, arguments: str = "{}", limit: int = 16_384, threads: ToolThreads = THREADS) -> ToolResult:
    call = ToolCall("call_1", asked.name, arguments)
    result = await run_tool(asked, call, key="turn_1/m0.t0", limit=limit, threads=threads)
    assert result.call is call
    return result


class Both:
    """The same tool as `async def` and as `def`."""

    def __init__(self, act: object) -> None:
        self.act = act

    def returning(self) -> object:
        if isinstance(self.act, BaseException):
            raise self.act
        return self.act

    def tools(self) -> tuple[Tool, Tool]:
        @tool
        async def on_loop() -> object:
            """Acts."""
            return self.returning()

        @tool
        def in_thread() -> object:
            """Acts."""
            return self.returning()

        return on_loop, in_thread


class User(BaseModel):
    id: str
    since: date


@dataclass
class Point:
    x: float


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (12, "12"),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
        (User(id="U-1", since=date(2026, 1, 2)), '{"id":"U-1","since":"2026-01-02"}'),
        ([Point(1.5), Point(float("nan"))], '[{"x":1.5},{"x":"NaN"}]'),
        ("a\0b\ud800c😀", "a�b�c😀"),
        ("pair \ud83d\ude00", "pair 😀"),
    ],
)
async def test_a_value_is_told_as_text(value: object, content: str) -> None:
    for asked in Both(value).tools():
        assert await run(asked) == ToolResult(ToolCall("call_1", asked.name, "{}"), content)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def endless() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["loop"] = loop
    return loop


@pytest.mark.parametrize(
    ("error", "error_type", "content"),
    [
        (ValueError("bad day"), "ValueError", "Error: {} failed with ValueError: bad day"),
        (ToolError("There is no user U-9."), "tool_error", "Error: There is no user U-9."),
        (TimeoutError("its own"), "TimeoutError", "Error: {} failed with TimeoutError: its own"),
        (Mute(), f"{__name__}.Mute", "Error: {} failed with " + __name__ + ".Mute: (its message cannot be shown)"),
        (StopAsyncIteration("x"), None, None),
        (StopIteration("x"), None, None),
        (asyncio.CancelledError("mine"), "asyncio.exceptions.CancelledError", None),
        (SystemExit(3), "SystemExit", "Error: {} failed with SystemExit: 3"),
        (object(), "TypeError", None),
        (endless(), "TypeError", None),
        (b"\xff", "TypeError", None),
        ({"a": "\ud800"}, "TypeError", None),
    ],
)
async def test_a_failure_is_told_and_ends_nothing(error: object, error_type: str | None, content: str | None) -> None:
    for asked in Both(error).tools():
        result = await run(asked)
        assert result.error_type is not None
        assert error_type in (None, result.error_type)
        assert result.content == (content or result.content).format(asked.name)
        assert result.content.startswith("Error: ")
        assert "Traceback" not in result.content


def test_ctrl_c_goes_through() -> None:
    for asked in Both(KeyboardInterrupt()).tools():
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(run(asked))


@tool
async def book(user_id: str, days: int = 1) -> str:
    """Books.

    Args:
        user_id: Such as U-123.
    """
    return f"{user_id} {days}"


SCHEMA = (
    'Expected is a JSON object of this schema: {"properties":{"user_id":{"description":"Such as U-123.",'
    '"type":"string"},"days":{"anyOf":[{"type":"integer"},{"type":"null"}],"description":"Null means 1."}},'
    '"type":"object","required":["user_id","days"],"additionalProperties":false}'
)


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ("", "- user_id: missing"),
        ('{"user_id":7}', "- user_id: Input should be a valid string; found 7"),
        (
            '{"user_id":"U-1","days":"two","day":3}',
            '- days: Input should be a valid integer, unable to parse string as an integer; found "two"\n'
            "- day: there is no such argument; found 3",
        ),
        ("[1]", "- arguments: Input should be an object; found [1]"),
        ('"{}"', '- arguments: Input should be an object; found "{}"'),
    ],
)
async def test_wrong_arguments_are_told_by_name_found_and_expected(arguments: str, faults: str) -> None:
    result = await run(book, arguments)
    assert result.error_type == "invalid_arguments"
    assert result.content == f"Error: the arguments of book are not valid. It was not run.\n{faults}\n{SCHEMA}"


@pytest.mark.parametrize(
    "arguments",
    [
        "nul",
        "{'user_id': 'U-1'}",
        '{"user_id":"U-1"',
        '{"user_id":"\\ud800"}',
        '{"user_id":"\ud800"}',
        '{"user_id":"U-1","days":' + "9" * 5000 + "}",
        '{"user_id":"U-1","days":NaN}',
        "[" * 100_000,
        "\0",
        '{"user_id":' + "[1," * 50 + '"é" ' * 20,
    ],
)
async def test_no_arguments_are_too_broken(arguments: str) -> None:
    result = await run(book, arguments)
    assert result.error_type == "invalid_arguments"
    assert SCHEMA in result.content
    assert len(result.content.encode()) < 1000


@given(st.text())
async def test_any_arguments_have_a_result_that_can_be_stored(arguments: str) -> None:
    result = await run(book, arguments)
    assert "\0" not in result.content
    assert result.content.encode()


async def test_many_faults_are_counted_not_listed() -> None:
    result = await run(book, "{" + ",".join(f'"x{n}":{n}' for n in range(50)) + "}")
    assert result.content.count("\n- ") == 11
    assert "- and 41 more" in result.content


def refuse(value: str) -> str:
    raise KeyError(value)


async def test_an_engineers_own_validator_may_fail() -> None:
    @tool
    async def picky(a: Annotated[str, AfterValidator(refuse)]) -> str:
        """Is picky."""
        return a

    result = await run(picky, '{"a":"x"}')
    assert (result.error_type, result.content) == ("KeyError", "Error: picky failed with KeyError: 'x'")


async def test_a_key_tool_gets_its_key() -> None:
    @tool(repeat="key")
    async def on_loop(n: int, *, idempotency_key: str) -> str:
        """Acts."""
        return f"{n} {idempotency_key}"

    @tool(repeat="key")
    def in_thread(n: int, idempotency_key: str) -> str:
        """Acts."""
        return f"{n} {idempotency_key}"

    for asked in (on_loop, in_thread):
        assert (await run(asked, '{"n":1}')).content == "1 turn_1/m0.t0"


async def test_a_thread_has_the_callers_context_and_leaks_none() -> None:
    @tool
    def ask() -> str:
        """Asks."""
        before = who.get()
        who.set("the tool")
        return f"{before} in {threading.current_thread().name}"

    who.set("the caller")
    for _ in range(2):
        assert (await run(ask)).content == "the caller in agent-tool"
    assert who.get() == "the caller"


@pytest.mark.parametrize("size", [256, 257, 1000, 16_384])
async def test_a_long_result_is_cut_on_a_character_with_a_note(size: int) -> None:
    for asked in Both("é😀" * 20_000).tools():
        content = (await run(asked, limit=size)).content
        assert size - 8 < len(content.encode()) <= size  # a character has up to 4 bytes, the note's number as well
        shown, note = content.split("\n[")
        assert ("é😀" * 20_000).startswith(shown)
        assert note == f"Cut here: the result has 120,000 bytes, of which the first {len(shown.encode()):,} are shown.]"


async def test_a_result_at_the_limit_is_whole() -> None:
    for text in ("a" * 256, "é" * 128):
        for asked in Both(text).tools():
            assert (await run(asked, limit=256)).content == text
            assert "Cut here" in (await run(Both(text + "a").tools()[0], limit=256)).content


async def test_an_error_is_cut_too() -> None:
    for asked in Both(ValueError("x" * 10_000)).tools():
        assert len((await run(asked, limit=300)).content) == 300


async def test_one_that_fails_leaves_its_siblings_alone() -> None:
    good, bad = Both("good").tools(), Both(ValueError("bad")).tools()
    results = await asyncio.gather(*(run(asked) for asked in (*good, *bad, *good)))
    assert [result.error_type for result in results] == [None, None, "ValueError", "ValueError", None, None]
