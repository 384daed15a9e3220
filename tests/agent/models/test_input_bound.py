from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.models.input_bound import LastCall, tightened
from agent.models.protocol import Request
from agent.models.wire import draft
from agent.types import Message
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


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5), st.integers(0, 10_000), st.integers(1, 5))
def test_never_below_what_was_counted(texts: list[str], counted: int, length: int) -> None:
    messages = tuple(Message("user", text) for text in texts)
    last = LastCall(draft(Request("s", messages[:length]), MODEL), counted)
    bound = tightened(draft(Request("s", messages), MODEL), MODEL, last)
    added = sum(len(message.content.encode()) for message in messages[length:])
    assert bound >= counted + added
