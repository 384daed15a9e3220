from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.input_bound import LastCall, counted, tightened
from agent.models.protocol import Request
from agent.models.wire import draft
from agent.types import Message, Reply
from telemetry.usage import Usage
from tests.agent.models.raw_server import config

MODEL = config("http://x", overhead_per_request=10)
FIRST = draft(Request("s", (Message("user", "x" * 1000),), b"[]", 1), MODEL)
ADDED = (Message("assistant", "yes"), Message("user", "and then?"))


def test_tightened_to_the_real_count_and_the_bytes_since() -> None:
    more = draft(Request("s", (Message("user", "x" * 1000), *ADDED), b"[]", 1), MODEL)
    added = len(more.with_cap(1)) - len(FIRST.with_cap(1))
    assert tightened(more, MODEL, LastCall(FIRST, 200)) == 200 + added + 10 < more.input_bound


def test_the_same_request_again_is_its_real_count() -> None:
    assert tightened(FIRST, MODEL, LastCall(FIRST, 200)) == 210


def test_what_does_not_go_on_from_the_last_call_is_bounded_by_its_bytes() -> None:
    for other in (
        Request("other", (Message("user", "x" * 1000), *ADDED), b"[]", 1),
        Request("s", (Message("user", "y" * 1000), *ADDED), b"[]", 1),
        Request("s", (Message("user", "x" * 1000), *ADDED), b"", 0),
        Request("s", ADDED, b"[]", 1),
    ):
        changed = draft(other, MODEL)
        assert tightened(changed, MODEL, LastCall(FIRST, 1)) == changed.input_bound
    assert tightened(FIRST, MODEL, None) == FIRST.input_bound


MORE = draft(Request("s", (Message("user", "x" * 1000), *ADDED), b"[]", 1), MODEL)


@pytest.mark.parametrize(("tokens", "trusted"), [(1, False), (len(FIRST.head) // 16, False), (70, True)])
def test_a_count_that_cannot_be_makes_no_bound_smaller(tokens: int, trusted: bool) -> None:
    assert (tightened(MORE, MODEL, LastCall(FIRST, tokens)) < MORE.input_bound) is trusted


@pytest.mark.parametrize(
    ("name", "trusted"), [(None, True), ("m", True), ("m-2026", True), ("other", True), ("x/m", False), ("n", False)]
)
def test_a_count_of_another_model_makes_no_bound_smaller(name: str | None, trusted: bool) -> None:
    model = config("http://x", overhead_per_request=10, response_names=["other"])
    assert (tightened(MORE, model, LastCall(FIRST, 200, name)) < MORE.input_bound) is trusted


def test_after_a_breach_no_bound_is_smaller_than_the_bytes() -> None:
    last = None
    for bound, tokens, breached in ((300, 300, False), (300, 301, True), (300, 200, True)):
        last = counted(last, FIRST, bound, replied(tokens))
        assert last == LastCall(FIRST, tokens, "m", breached)
        assert (tightened(MORE, MODEL, last) < MORE.input_bound) is not breached
    assert tightened(MORE, MODEL, LastCall(FIRST, 5000, breached=True)) > MORE.input_bound


def test_without_a_count_the_one_before_stays() -> None:
    before = LastCall(FIRST, 200)
    assert counted(before, MORE, 300, replied(None)) is before


def replied(tokens: int | None) -> Reply:
    return Reply(Message("assistant", "x"), ("stop",), usage=Usage(tokens, 1), response_model="m")


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5), st.integers(0, 10_000), st.integers(1, 5))
def test_never_below_what_was_counted(texts: list[str], tokens: int, length: int) -> None:
    messages = tuple(Message("user", text) for text in texts)
    last = LastCall(draft(Request("s", messages[:length]), MODEL), tokens)
    bound = tightened(draft(Request("s", messages), MODEL), MODEL, last)
    added = sum(len(message.content.encode()) for message in messages[length:])
    assert bound >= tokens + added
