"""One reply as a body and as chunks; the output cap."""

from __future__ import annotations

import pytest

from agent.offline import protocol
from agent.types import Message, ToolCall
from tests.agent.offline.asking import asked, user

SAID = Message(
    "assistant", "", (ToolCall("c1", "lookup_user", '{"user_id":"U-123"}'), ToolCall("c2", "search_kb", "{}"))
)


@pytest.mark.parametrize("cap", [1, 2, 3, 5, 8, 9, 10, 11, 12, 50])
@pytest.mark.parametrize("said", [Message("assistant", "Grüße an alle, die es lesen — auch später."), SAID])
def test_the_cap_holds_and_what_it_cuts_is_marked(cap: int, said: Message) -> None:
    body = protocol.completion(asked(user("x"), max_tokens=cap), said, "m", 1)

    whole = protocol.output_tokens(said)
    assert body["usage"]["completion_tokens"] <= cap
    assert (body["choices"][0]["finish_reason"] == "length") == (whole > cap)


def test_arguments_may_be_cut_in_the_middle() -> None:
    body = protocol.completion(asked(user("x"), max_completion_tokens=6), SAID, "m", 1)

    calls = body["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"user_id":"']


def test_a_text_of_megabytes_is_streamed_in_large_pieces() -> None:
    body = protocol.completion(asked(user("x")), Message("assistant", "a b " * 100_000), "m", 1)

    assert len(protocol.chunks(body, include_usage=True)) < 50
