"""The stand-in plays the helpdesk from what it is sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from agent.offline import helpdesk
from tests.agent.offline.asking import ALEX, PRINTER, QUESTION, TOOLS, WIFI, Conversation, asked, tool, user

FOUND = {"lookup_user": orjson.dumps(ALEX).decode(), "search_kb": orjson.dumps([WIFI, PRINTER]).decode()}


def test_asks_both_tools_at_once_and_answers_from_their_results() -> None:
    conversation = Conversation({**FOUND})

    answer = conversation.say(QUESTION)

    assert conversation.calls == [
        ("lookup_user", {"user_id": "U-123"}),
        ("search_kb", {"query": "laptop connect wifi"}),
    ]
    assert sum(message["role"] == "assistant" for message in conversation.messages) == 2
    assert answer == (
        "Hi Alex, I have your account U-123 here: you work in London and have the MacBook Pro M3 and the iPhone 16.\n\n"
        "This looks like a case for our article “Laptop will not connect to wifi”. Please try this, in order:\n"
        "1. Turn wifi off.\n"
        "2. On again.\n"
        "If that is not quite it, these are close: Printer does not print.\n\n"
        "I also see a related ticket of yours: T-1 Wifi drops (open).\n\n"
        "If it still does not work, reply with what you see on the screen, and we will take it further."
    )


def test_the_same_conversation_is_answered_the_same() -> None:
    assert helpdesk.reply(asked(user(QUESTION))) == helpdesk.reply(asked(user(QUESTION)))


def test_follow_ups_use_what_is_known() -> None:
    conversation = Conversation({**FOUND})
    conversation.say(QUESTION)

    conversation.say("and the printer?")
    assert conversation.calls == [("search_kb", {"query": "printer"})]

    vain = conversation.say("that didn't help")
    assert conversation.calls == []
    assert "The next closest article is “Printer does not print”" in vain
    assert "1. Look at the display.\n2. Clear the jam." in vain

    device = conversation.say("what's my device?")
    assert conversation.calls == []
    assert "MacBook Pro M3" in device
    assert "T-1 Wifi drops (open)" in device

    assert conversation.say("thanks a lot!").startswith("You're welcome, Alex.")
    assert conversation.calls == []


def test_a_question_that_adds_on_what_keeps_its_topic() -> None:
    conversation = Conversation({**FOUND})
    conversation.say("my vpn drops")

    conversation.say("and on my phone?")

    assert conversation.calls == [("search_kb", {"query": "vpn drops phone"})]


def test_several_topics_are_searched_for_one_by_one_and_each_is_answered() -> None:
    hits = [orjson.dumps([hit]).decode() for hit in (WIFI, PRINTER, PRINTER)]
    conversation = Conversation({"search_kb": hits})

    answer = conversation.say("wifi and printer and toner are all broken")

    assert [arguments["query"] for _, arguments in conversation.calls] == ["wifi", "printer", "toner broken"]
    assert "1. Turn wifi off." in answer
    assert answer.count("1. Look at the display.") == 1


def test_a_user_id_alone_is_looked_up_and_the_problem_asked_for() -> None:
    conversation = Conversation({**FOUND})

    answer = conversation.say("Hello, I'm Alex, u-123")

    assert conversation.calls == [("lookup_user", {"user_id": "U-123"})]
    assert "Tell me what does not work" in answer


def test_a_problem_without_a_user_id_is_answered_and_the_id_asked_for() -> None:
    answer = Conversation({**FOUND}).say("my laptop will not connect to wifi")

    assert "1. Turn wifi off." in answer
    assert "tell me your user id" in answer


def test_two_users_are_looked_up_and_one_unknown_is_said_so_once() -> None:
    unknown = "Error: There is no user 'U-999'. Ids look like U-123."
    conversation = Conversation({"lookup_user": [unknown, FOUND["lookup_user"]], "search_kb": FOUND["search_kb"]})

    answer = conversation.say("wifi is down for U-999 and U-123")

    assert [call for call in conversation.calls if call[0] == "lookup_user"] == [
        ("lookup_user", {"user_id": "U-999"}),
        ("lookup_user", {"user_id": "U-123"}),
    ]
    assert "I don't know the user id U-999" in answer
    assert "Hi Alex" in answer
    assert "U-999" not in conversation.say("thanks")
    assert conversation.calls == []


def test_a_failed_lookup_is_tried_once_more_and_then_said_honestly() -> None:
    conversation = Conversation({**FOUND, "lookup_user": "Error: lookup_user failed with OSError: no route"})

    answer = conversation.say(QUESTION)

    assert [name for name, _ in conversation.calls].count("lookup_user") == 2
    assert "I couldn't look up your account: Error: lookup_user failed with OSError: no route" in answer
    assert "1. Turn wifi off." in answer


def test_a_search_that_finds_nothing_is_tried_with_other_words_once() -> None:
    conversation = Conversation({"search_kb": "No article fits 'x'. Try other words."})

    answer = conversation.say("my toaster burns")

    assert [arguments["query"] for _, arguments in conversation.calls] == ["toaster burns", "burns"]
    assert "I found nothing in the knowledge base about “toaster burns”" in answer


def test_a_search_that_fails_is_said_so() -> None:
    answer = Conversation({"search_kb": '{"error": "index is gone"}'}).say("my toaster burns")

    assert "it failed: index is gone" in answer


@pytest.mark.parametrize(
    "results",
    [
        pytest.param({"hits": [{"id": "a", "title": "Wifi", "snippet": "1. Turn it off."}]}, id="hits"),
        pytest.param({"results": [{"title": "Wifi", "body": "- Turn it off."}]}, id="results"),
        pytest.param([{"title": "Wifi", "steps": ["Turn it off."]}], id="a list of steps"),
        pytest.param("Wifi: Turn it off.", id="text"),
    ],
)
def test_results_of_other_shapes_are_understood(results: object) -> None:
    answer = Conversation({"search_kb": orjson.dumps(results).decode()}).say("wifi is down")

    assert "Turn it off." in answer


def test_without_tools_it_says_what_it_found_so_far() -> None:
    conversation = Conversation({**FOUND})
    conversation.say(QUESTION)

    reply = helpdesk.reply(asked(*conversation.messages[:-1], tools=[]))

    assert reply.tool_calls == ()
    assert "this is what I found so far" in reply.content
    assert "1. Turn wifi off." in reply.content


def test_garbled_and_unknown_calls_are_followed_by_right_ones() -> None:
    garbled = {"id": "c1", "type": "function", "function": {"name": "lookup_user", "arguments": '{"user_id": "U-1'}}
    unknown = {"id": "c2", "type": "function", "function": {"name": "no_such_tool", "arguments": "{}"}}
    reply = helpdesk.reply(
        asked(
            user(QUESTION),
            {"role": "assistant", "content": None, "tool_calls": [garbled, unknown]},
            {"role": "tool", "tool_call_id": "c1", "content": "Error: the arguments of lookup_user are not valid."},
            {"role": "tool", "tool_call_id": "c2", "content": "Error: there is no tool 'no_such_tool'."},
        )
    )

    assert [(call.name, orjson.loads(call.arguments)) for call in reply.tool_calls] == [
        ("lookup_user", {"user_id": "U-123"}),
        ("search_kb", {"query": "laptop connect wifi"}),
    ]


def test_calls_that_stay_garbled_are_given_up() -> None:
    call = {"type": "function", "function": {"name": "lookup_user", "arguments": "{"}}
    turn: list[dict[str, Any]] = [user("I'm U-123")]
    for number in ("c1", "c2"):
        turn.append({"role": "assistant", "content": None, "tool_calls": [{"id": number, **call}]})
        turn.append({"role": "tool", "tool_call_id": number, "content": "Error: not valid."})

    reply = helpdesk.reply(asked(*turn))

    assert reply.tool_calls == ()
    assert "I couldn't look up your account: Error: not valid." in reply.content


def test_an_engineers_own_tool_is_called_when_it_is_named() -> None:
    tools = [*TOOLS, tool("get_weather", "city")]
    conversation = Conversation({"get_weather": '{"degrees": 7}'}, tools=tools)

    answer = conversation.say("use get_weather for Paris")

    assert conversation.calls == [("get_weather", {"city": "Paris"})]
    assert 'get_weather says: {"degrees":7}' in answer


def test_tool_choice_is_obeyed() -> None:
    named = {"type": "function", "function": {"name": "search_kb"}}

    assert helpdesk.reply(asked(user(QUESTION), tool_choice="none")).tool_calls == ()
    assert [call.name for call in helpdesk.reply(asked(user("hello"), tool_choice="required")).tool_calls] == [
        "lookup_user"
    ]
    assert [call.name for call in helpdesk.reply(asked(user(QUESTION), tool_choice=named)).tool_calls] == ["search_kb"]


def test_it_copes_with_any_system_only_or_empty_conversation() -> None:
    assert "IT helpdesk" in helpdesk.reply(asked({"role": "system", "content": "You are."})).content
    assert "IT helpdesk" in helpdesk.reply(asked(user(""))).content
