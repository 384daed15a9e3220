from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.repeats import Past, Verdict, canonical, judge
from agent.types import ToolCall


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall("id", name, arguments)


def kinds(replies: Sequence[str]) -> list[str]:
    """One letter is one call, one string is one reply; a turn goes on until it is ended."""
    past: list[Past] = []
    said: list[str] = []
    for number, reply in enumerate(replies):
        pending: list[Past] = []
        for letter in reply:
            verdict = judge([*past, *pending], call(letter), number)
            said.append(verdict.kind)
            if verdict.kind == "ended":
                return said
            warned = verdict.kind != "run"
            pending.append(Past(call(letter), number, verdict.content if warned else None, warned))
        past += [Past(p.asked, p.reply, p.content or f"result {number}", p.warned) for p in pending]
    return said


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ("AA", ["run", "run"]),
        ("AAA", ["run", "run", "same"]),
        ("AAAAA", ["run", "run", "same", "same", "ended"]),
        ("ABAC", ["run"] * 4),
        ("ABAB", ["run", "run", "run", "cycle"]),
        ("ABABAB", ["run", "run", "run", "cycle", "same", "ended"]),
        ("ABCABC", ["run"] * 5 + ["cycle"]),
        ("ABCDABCD", ["run"] * 8),
        ("ABCABD", ["run"] * 6),
        ("XABAB", ["run"] * 4 + ["cycle"]),
        ("ABXAB", ["run"] * 5),
        ("AABB", ["run"] * 4),
        ("ABCDEFGAHIJKLMA", ["run"] * 15),
        ("ABCADEFA", ["run"] * 7 + ["same"]),
        ("ABCADEFGA", ["run"] * 9),
    ],
)
def test_one_call_a_reply(replies: str, expected: list[str]) -> None:
    assert kinds(list(replies)) == expected


def test_a_model_is_not_ended_for_what_it_asked_before_it_read_a_warning() -> None:
    assert kinds(["AAAAAA"]) == ["run", "run", "same", "same", "same", "same"]
    assert kinds(["AAAA", "AAAA"]) == ["run", "run", "same", "same"] + ["same"] * 4
    assert kinds(["AAAA", "AAAA", "A"])[-1] == "ended"


def test_a_warned_model_that_goes_on_with_other_calls_is_left_alone() -> None:
    assert kinds(list("AAABCDEFGH")) == ["run", "run", "same"] + ["run"] * 7


def test_the_third_time_gives_the_result_back() -> None:
    asked = call("lookup_user")
    past = [Past(asked, 0, "first"), Past(asked, 1, "second"), Past(asked, 2, "You already …", warned=True)]
    verdict = judge(past, call("lookup_user"), 3)
    assert verdict == Verdict(
        "same",
        "You already called 'lookup_user' with these arguments, so it was not run again. Here is the result you got:\n"
        "second\n\nDo something else, or answer with what you know.",
    )


def test_a_cycle_gives_the_result_back() -> None:
    asked = [call(letter) for letter in "ABA"]
    verdict = judge([Past(each, n, f"result {n}") for n, each in enumerate(asked)], call("B"), 3)
    assert verdict.kind == "cycle"
    assert "Here is the result you got:\nresult 1\n" in verdict.content


def test_a_call_without_an_answer_yet_has_nothing_to_give_back() -> None:
    asked = call("a")
    verdict = judge([Past(asked, 0), Past(asked, 0)], call("a"), 0)
    assert verdict.kind == "same"
    assert "Its result is with your other calls." in verdict.content


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":[1,{"c":2,"d":3}]}', ' { "b" : [1, {"d":3,\n"c":2}], "a":1 }'),
        ('{"a":"\\u00e9"}', '{"a":"é"}'),
        ("", "{}"),
        ("null", "{}"),
        ('{"a":1,"a":2}', '{"a":2}'),
        ("not json", " not json\n"),
    ],
)
def test_the_same_call(one: str, other: str) -> None:
    assert canonical(call("t", one)) == canonical(call("t", other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":2}'),
        ('{"a":"x"}', '{"a":"x "}'),
        ('{"a":18446744073709551617}', '{"a":18446744073709551618}'),
        ("[1,2]", "[2,1]"),
        ('{"a":', '{"b":'),
        ('"x"', "x"),
    ],
)
def test_another_call(one: str, other: str) -> None:
    assert canonical(call("t", one)) != canonical(call("t", other))


def test_another_tool_is_another_call() -> None:
    assert canonical(call("a")) != canonical(call("b"))


@pytest.mark.parametrize("arguments", ["[" * 100_000, "9" * 10_000, '{"a":"\ud800"}', '{"a":"\\ud800"}', "\0", "NaN"])
def test_any_text_has_a_storable_canonical_form(arguments: str) -> None:
    canonical(call("t\ud800", arguments)).encode("ascii")


@given(st.text(), st.text())
def test_canonical_never_fails_and_is_stable(name: str, arguments: str) -> None:
    form = canonical(call(name, arguments))
    assert form == canonical(call(name, arguments))
    assert json.loads(form)[0] == name


@given(st.lists(st.integers(), unique=True, max_size=40))
def test_distinct_calls_are_never_warned(numbers: list[int]) -> None:
    past: list[Past] = []
    for reply, number in enumerate(numbers):
        asked = call("t", json.dumps({"n": number}))
        assert judge(past, asked, reply).kind == "run"
        past.append(Past(asked, reply, "result"))


@given(st.lists(st.sampled_from("ABCDEF"), max_size=5), st.lists(st.sampled_from("ABC"), min_size=1, max_size=3))
def test_a_model_that_goes_in_a_circle_is_ended(before: list[str], circle: list[str]) -> None:
    assert kinds([*before, *circle * 6])[-1] == "ended"


@given(st.lists(st.text("AB", min_size=1, max_size=4), max_size=12))
def test_no_call_runs_a_third_time_within_the_window(replies: list[str]) -> None:
    letters = "".join(replies)
    for end, kind in enumerate(kinds(replies)):
        window = letters[max(0, end - 7) : end + 1]
        assert kind != "run" or window.count(letters[end]) <= 2


@given(st.lists(st.text("ABC", min_size=1, max_size=3), max_size=12))
def test_an_end_follows_two_warned_replies(replies: list[str]) -> None:
    said = kinds(replies)
    owner = [number for number, reply in enumerate(replies) for _ in reply]
    warned = {owner[n] for n, kind in enumerate(said) if kind in ("same", "cycle")}
    if said and said[-1] == "ended":
        assert len(warned - {owner[len(said) - 1]}) >= 2
