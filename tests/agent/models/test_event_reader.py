from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.models.sse import BadEvent, EventReader

STREAM = 'data: {"a": "é\u2028"}\r\n\r\n: hm\n data:{"b":1}\n\nid: 3\n\nevent: error\ndata: no\n\ndata: [DONE]'.encode()


def events(*chunks: bytes) -> list[object]:
    reader = EventReader()
    found = [event for chunk in chunks for event in reader.feed(chunk)]
    return [(event.body, event.done, event.error) for event in [*found, *reader.end()]]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_it_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert events(*chunks) == [
        ({"a": "é\u2028"}, False, False),
        ({"b": 1}, False, False),
        ("no", False, True),
        (None, True, False),
    ]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_events_or_a_bad_event(chunks: list[bytes]) -> None:
    try:
        assert isinstance(events(*chunks), list)
    except BadEvent as error:
        assert str(error)  # noqa: PT017


@given(st.lists(st.integers(0, 40), max_size=6), st.sampled_from([b"\n", b"\r", b"\r\n"]))
@example([12, 12], b"\r\n")  # a piece of nothing between the two halves of a line's end
def test_whatever_ends_a_line(cuts: list[int], end: bytes) -> None:
    sent = b'data: {"a":\ndata: 1}\n\ndata: {}\n\n'.replace(b"\n", end)
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    assert events(*[sent[start:stop] for start, stop in pairwise(places)]) == [
        ({"a": 1}, False, False),
        ({}, False, False),
    ]


def test_lines_of_one_event_are_bounded() -> None:
    with pytest.raises(BadEvent, match="more than 1,048,576 lines"):
        events(b"data: [\n" * (2**20 + 1))


def test_bad_event_says_what_it_was() -> None:
    with pytest.raises(BadEvent, match="oops"):
        events(b"data: oops\n\n")


def test_a_million_lines_of_one_event_are_no_hang() -> None:
    """Whether the event is whole is not asked after each line of it."""
    reader = EventReader()
    assert list(reader.feed(b"data: [\n" + b"data: 1,\n" * 1_000_000)) == []
    (event,) = reader.feed(b"data: 1]\n\n")
    assert isinstance(event.body, list)
    assert len(event.body) == 1_000_001
