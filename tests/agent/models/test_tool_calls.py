"""Tool calls in pieces: providers.md 15."""

from __future__ import annotations

import pytest

from agent.models.assemble import Assembly
from agent.models.protocol import Arrived
from agent.models.tool_calls import MOST_CALLS
from agent.types import Json, ToolCall


def assembled(*pieces: Json) -> tuple[ToolCall, ...]:
    """Each piece is the delta of a chunk of its own."""
    assembly = Assembly(Arrived())
    for piece in pieces:
        delta: Json = {"tool_calls": [piece]}
        assembly.feed({"choices": [{"index": 0, "delta": delta}]})
    return assembly.arrived.reply().message.tool_calls


def piece(
    index: int | None = None, identity: str | None = None, name: str | None = None, arguments: Json = None
) -> Json:
    function: dict[str, Json] = {"name": name, "arguments": arguments}
    members: dict[str, Json] = {"index": index, "id": identity}
    made: dict[str, Json] = {key: value for key, value in members.items() if value is not None}
    return {**made, "function": {key: value for key, value in function.items() if value is not None}}


F1, G2 = ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}')


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([piece(0, "a", "f", ""), piece(0, None, None, '{"x"'), piece(0, None, None, ":1}"),
          piece(1, "b", "g", '{"y":2}')],
         (F1, G2)),
        ([piece(0, "a", "f"), piece(1, "b", "g"), piece(1, None, None, '{"y":2}'), piece(0, None, None, '{"x":1}')],
         (F1, G2)),
        ([piece(None, "a", "f", '{"x":1}'), piece(None, "b", "g", '{"y":2}')], (F1, G2)),
        ([piece(None, "a", "f", '{"x"'), piece(None, None, None, ":1}")], (F1,)),
        ([piece(None, "a", "f", '{"x"'), piece(None, "a", None, ":1}")], (F1,)),
        ([piece(0, "a", "f", '{"x":1}'), piece(0, "a", "f", '{"x":1}')], (F1,)),
        ([piece(0, "a", "f", '{"x":1}'), piece(0, "a", "f", "")], (F1,)),
        ([piece(0, "a", "f", '{"x"'), piece(0, "a", "f", ":1}")], (F1,)),
        ([piece(0, "a", "f", '{"x"'), piece(0, "z", None, ":1}")], (F1,)),
        ([piece(0, "a", "f", '{"x":1}'), piece(0, "b", "g", '{"y":2}')], (F1, G2)),
        ([piece(0, "a", "f", ""), piece(0, "b", "g", "")], (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))),
        ([piece(0, "", "f", '{"x":1}'), piece(1, "", "f", '{"x":1}')],
         (ToolCall("call_0", "f", '{"x":1}'), ToolCall("call_1", "f", '{"x":1}'))),
        ([piece(None, None, "f", '{"x":1}'), piece(None, None, "g", '{"y":2}')],
         (ToolCall("call_0", "f", '{"x":1}'), ToolCall("call_1", "g", '{"y":2}'))),
        ([piece(0, "call_1", "f", "{}"), piece(1, "", "f", "{}")],
         (ToolCall("call_1", "f", "{}"), ToolCall("call_2", "f", "{}"))),
        ([piece(0, "a", "look", None), piece(0, None, "_up", None), piece(0, None, None, "{}")],
         (ToolCall("a", "look_up", "{}"),)),
        ([piece(0, "a", "look"), piece(0, "a", "look_up", "{}")], (ToolCall("a", "look_up", "{}"),)),
        ([piece(0, "a", "f", {"x": 1})], (F1,)),
        ([piece(0, "a", "f", None)], (ToolCall("a", "f", "{}"),)),
        ([piece(0, "a", None, "{}")], ()),
        ([piece(0, "a", "f", "{}"), piece(0, None, None, '{"x"'), piece(0, None, None, ":1}")], (F1,)),
        ([piece(0, "a", "f", "{}"), piece(0, "a", "f", '{"x":1}')], (F1,)),
        ([piece(0, "", "f", {}), piece(0, "", "f", {"x": 1})], (ToolCall("call_0", "f", '{"x":1}'),)),
        ([piece(None, "a", "f", "{}"), piece(None, "a", "f", '{"x":1}')], (F1,)),
        ([piece(0, "a", "f", "{}"), piece(0, "b", "g", '{"y":2}')], (ToolCall("a", "f", "{}"), G2)),
        ([piece(0, "a", "f", '{"x":1}'), piece(0, "a", "f", '{"x":2}')],
         (F1, ToolCall("call_1", "f", '{"x":2}'))),
        ([piece(0, "a", "f", ""), *[piece(0, "a", "f", text) for text in ('{"x"', '{"x":1', '{"x":1}', '{"x":1}')]],
         (F1,)),
        ([piece(0, "a", "f", '{"x"'), piece(0, None, None, '{"x":1'), piece(0, None, None, '{"x":1}')], (F1,)),
        ([piece(0, "a", "f", '{"x"'), piece(0, None, None, ":1}"), piece(0, None, None, '{"x":1}')], (F1,)),
        ([piece(0, "a", "f", '{"x":'), piece(0, None, None, "{}"), piece(0, None, None, "}")],
         (ToolCall("a", "f", '{"x":{}}'),)),
        ([piece(0, "a", "f", '{"x":'), piece(0, None, None, '{"x":1}')],
         (ToolCall("a", "f", '{"x":1}'),)),
        ([piece(0, "a", "f", '{"x":'), piece(0, None, None, '{"y":1}')], (ToolCall("a", "f", '{"x":{"y":1}'),)),
        ([{"index": 0, "id": "a", "name": "f", "arguments": '{"x"'}, {"index": 0, "arguments": ":1}"}], (F1,)),
    ],
    ids=["in order", "interleaved", "no index", "no index or id", "by id", "twice", "name again", "name in each piece",
         "changing id", "all index 0", "all index 0, no arguments", "no ids", "nothing but names", "id taken",
         "name in pieces", "name grows", "arguments as object", "no arguments", "nameless", "{} first",
         "{} first, named", "{} first, no id", "{} first, by id", "{} is another's", "same id, other arguments",
         "cumulative", "cumulative, nameless", "pieces, then the whole", "{} within", "cumulative object",
         "broken off within", "flat"],
)  # fmt: skip
def test_pieces(pieces: list[Json], calls: tuple[ToolCall, ...]) -> None:
    assert assembled(*pieces) == calls


def test_a_custom_call_is_ignored_beside_a_function_call(caplog: pytest.LogCaptureFixture) -> None:
    custom: Json = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "secret", "input": "x"}}
    assert assembled(custom, piece(1, "a", "f", '{"x":1}')) == (F1,)
    assert [record.getMessage() for record in caplog.records] == ["a tool call that is not a function call was ignored"]


def test_the_old_function_call() -> None:
    assembly = Assembly(Arrived())
    for function in ({"name": "f", "arguments": '{"x"'}, {"arguments": ":1}"}):
        assembly.feed({"choices": [{"delta": {"function_call": {**function}}}]})
    assert assembly.arrived.reply().message.tool_calls == (ToolCall("call_0", "f", '{"x":1}'),)


def test_800_calls() -> None:
    calls = assembled(*[piece(n, f"c{n}", "f", "{}") for n in range(800)])
    assert len({call.id for call in calls}) == 800


def test_the_name_in_each_of_many_pieces_is_no_hang() -> None:
    """Whether a call is complete is not asked of each of its pieces, nor for ever of those that may end it."""
    for end in ("wifi ", "{},"):
        many = [piece(0, "a", "f", end)] * 20_000
        call, other = assembled(
            piece(0, "a", "f", '{"x":["'), *many, piece(0, "a", "f", '"]}'), piece(0, "b", "g", '{"y":2}')
        )
        assert other == G2
        assert call.arguments == '{"x":["' + end * 20_000 + '"]}'


def test_pieces_that_might_each_be_the_last_are_no_hang() -> None:
    many = [piece(0, "a", "f", '{"x":{}')] + [piece(0, "a", "f", ',"x":{}')] * 50_000
    (call,) = assembled(*many, piece(0, None, None, "}"))
    assert call.arguments == '{"x":{}' + ',"x":{}' * 50_000 + "}"


def test_many_pieces_that_are_no_json_are_no_hang() -> None:
    (call,) = assembled(piece(0, "a", "f", "{"), *[piece(0, None, None, "x" * 10)] * 100_000)
    assert call.arguments == "{" + "x" * 1_000_000


def test_a_reply_has_so_many_calls_and_what_is_dropped_is_no_others() -> None:
    begun = [piece(n, f"c{n}", "f", '{"x"') for n in range(MOST_CALLS + 2)]
    more = [piece(n, None, None, ":1}") for n in (0, MOST_CALLS - 1, MOST_CALLS)]
    nameless = [piece(None, None, None, "!"), piece(None, f"c{MOST_CALLS}", None, "!")]
    calls = assembled(*begun, *more, *nameless)
    assert len(calls) == MOST_CALLS
    assert (calls[0], calls[-1]) == (ToolCall("c0", "f", '{"x":1}'), ToolCall(f"c{MOST_CALLS - 1}", "f", '{"x":1}'))


def test_a_dropped_call_of_the_same_index_leaves_the_last_one_as_it_is() -> None:
    begun = [piece(0, f"c{n}", "f", "{}") for n in range(MOST_CALLS)]
    calls = assembled(*begun, piece(0, "x", "g", ""), piece(0, None, None, '{"y":2}'))
    assert (len(calls), calls[-1].arguments) == (MOST_CALLS, "{}")
