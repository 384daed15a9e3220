from __future__ import annotations

from agent.admission import Taken, take_up
from agent.config import Bounds
from agent.tools.tool import Tool
from agent.turn import Step, Turn
from agent.types import ToolCall
from tests.support.desk import order_part, search_kb
from tests.support.turns import call, model, turn, used

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (search_kb, order_part)}


def search(words: str, identity: str = "") -> ToolCall:
    return call("search_kb", f'{{"query":"{words}"}}', identity or words)


def kinds(taken: Taken) -> list[str]:
    return [kind for _, kind in taken.kinds]


def played(replies: list[list[ToolCall]], bounds: Bounds | None = None) -> list[Taken]:
    """Takes up reply after reply; what is to be run is told it ran."""
    now: Turn = turn(bounds=bounds)
    seen = []
    for number, calls in enumerate(replies):
        taken = take_up(now, model(f"m{number}", "", *calls, finish="tool_calls"), TOOLS)
        steps: list[Step] = [step if step.result else used(step.key, step.call) for step in taken.tools]
        now = now.replied(taken.step, []).used([])
        now = turn(*now.steps, *steps, bounds=bounds)
        seen.append(taken)
        if taken.ended:
            break
    return seen


def test_every_call_has_a_step_under_its_place() -> None:
    taken = take_up(turn(), model("m0", "", search("a"), call("nope"), search("b")), TOOLS)
    assert [(step.key, step.result is None) for step in taken.tools] == [
        ("m0.t0", True),
        ("m0.t1", False),
        ("m0.t2", True),
    ]
    assert kinds(taken) == ["run", "unknown_tool", "run"]
    assert taken.ended is None


def test_closing_reply_has_no_calls() -> None:
    taken = take_up(turn(), model("m0", "bye", search("a"), closing="limit_steps"), TOOLS)
    assert (taken.step.message.tool_calls, taken.step.message.content, taken.tools) == ((), "bye", ())


def test_calls_beyond_the_bound_of_a_reply_are_dropped() -> None:
    calls = [search(str(number)) for number in range(800)]
    taken = take_up(turn(bounds=Bounds(calls_per_reply=8)), model("m0", "", *calls), TOOLS)
    assert (len(taken.tools), taken.step.dropped, len(taken.step.message.tool_calls)) == (8, 792, 8)
    assert kinds(taken) == ["run"] * 8 + ["too_many"] * 792


def test_calls_beyond_the_bound_of_a_turn_are_answered() -> None:
    bounds = Bounds(tool_calls=3)
    first, second = played([[search("a"), search("b")], [search("c"), search("d")]], bounds)
    assert kinds(first) + kinds(second) == ["run", "run", "run", "too_many"]
    result = second.tools[1].result
    assert result
    assert "limit of 3 tool calls" in result.content


def test_third_of_the_same_gets_its_result_again() -> None:
    *_, third = played([[search("a", "1")], [search("a", "2")], [search("a", "3")]])
    [step] = third.tools
    assert kinds(third) == ["same"]
    assert step.result
    assert "found" in step.result.content
    assert step.result.call.id == "3"


def test_three_of_the_same_in_one_reply() -> None:
    [taken] = played([[search("a", "1"), search("a", "2"), search("a", "3")]])
    assert kinds(taken) == ["run", "run", "same"]


def test_after_two_warnings_the_turn_is_ended_and_nothing_runs() -> None:
    seen = played(
        [[search("a", str(number))] for number in range(4)] + [[search("new"), search("a", "9"), search("b")]]
    )
    assert [kinds(taken) for taken in seen[2:]] == [["same"], ["same"], ["run", "ended", "run"]]
    last = seen[-1]
    assert last.ended == "repeating"
    assert all(step.result and step.result.error_type for step in last.tools)
    assert all(step.result and step.result.content.startswith("Not run") for step in last.tools)


def test_unknown_and_invalid_calls_count_as_repeats() -> None:
    assert [kinds(taken) for taken in played([[call("nope")]] * 5)] == [
        ["unknown_tool"],
        ["unknown_tool"],
        ["same"],
        ["same"],
        ["ended"],
    ]
    assert kinds(played([[call(arguments="{nonsense")]] * 3)[-1]) == ["same"]


def test_calls_that_were_dropped_cost_nothing_of_the_turns_bound() -> None:
    bounds = Bounds(calls_per_reply=1, tool_calls=3)
    seen = played([[search(f"{n}"), search(f"{n}x")] for n in range(3)], bounds)
    assert [kinds(taken) for taken in seen] == [["run", "too_many"]] * 3
