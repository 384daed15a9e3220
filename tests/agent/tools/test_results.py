from __future__ import annotations

from agent.tools.results import not_run, outcome_unknown, unknown_tool
from agent.types import ToolCall, ToolResult

KNOWN = ("lookup_user", "search_kb")


def call(name: str) -> ToolCall:
    return ToolCall("call_1", name, "{}")


def test_an_unknown_tool_lists_those_there_are() -> None:
    assert unknown_tool(call("look_up_user"), KNOWN) == ToolResult(
        call("look_up_user"),
        "Error: there is no tool 'look_up_user'. Did you mean lookup_user? The tools are: lookup_user, search_kb.",
        "unknown_tool",
    )
    assert unknown_tool(call("x"), KNOWN).content == (
        "Error: there is no tool 'x'. The tools are: lookup_user, search_kb."
    )
    assert unknown_tool(call("x"), ()).content == "Error: there is no tool 'x'. There are no tools."


def test_a_made_up_name_is_shown_short_and_storable() -> None:
    content = unknown_tool(call("\ud800\0" + "x" * 100_000), KNOWN).content
    assert len(content.encode()) < 250
    assert "\0" not in content


def test_a_refused_call() -> None:
    asked = call("search_kb")
    assert not_run(asked, "a reply may ask for 8 calls.") == ToolResult(
        asked, "Not run: a reply may ask for 8 calls.", "not_run"
    )


def test_a_call_that_died_with_its_process() -> None:
    result = outcome_unknown(call("charge"))
    assert result.error_type == "outcome_unknown"
    assert "charge was running when the process ended, and is not run again" in result.content
