"""Whatever JSON a provider writes, it is read or is a failure that says so."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.models.assemble import Assembly
from agent.models.bodies import parse
from agent.models.error_bodies import error_in
from agent.models.failures import refused
from agent.models.protocol import Arrived, CallFailed
from agent.types import Json, Reply

NAMES = [
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "function_call",
    "name",
    "arguments",
    "id",
    "index",
    "type",
    "text",
    "finish_reason",
    "refusal",
    "usage",
    "x_groq",
    "prompt_tokens",
    "completion_tokens",
    "cost",
    "error",
    "code",
    "detail",
    "status",
    "model",
    "service_tier",
    "custom",
]

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["{}", "0"])

ANY_JSON: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=5,
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Json]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, ANY_JSON))


CALLS = st.lists(objects("id", "index", "type", "function", "custom"), max_size=3)
MESSAGES = st.fixed_dictionaries({"tool_calls": CALLS, "content": ANY_JSON, "function_call": ANY_JSON})
CHOICES = st.fixed_dictionaries(
    {"index": ANY_JSON, "finish_reason": ANY_JSON}, optional={"delta": MESSAGES, "message": MESSAGES, "usage": ANY_JSON}
)
BODIES = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES | ANY_JSON, max_size=2)}, optional=dict.fromkeys(NAMES, ANY_JSON)
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(BODIES, max_size=3))
def test_any_answer_is_a_reply(bodies: list[dict[str, Json]]) -> None:
    assembly = Assembly(Arrived())
    shown = [assembly.feed(body) for body in bodies]
    assembly.end()
    reply = assembly.arrived.reply()
    assert isinstance(reply, Reply)
    assert reply.message.content == "".join(shown)
    assert all(call.id and call.name and call.arguments for call in reply.message.tool_calls)
    assert len({call.id for call in reply.message.tool_calls}) == len(reply.message.tool_calls)


@settings(max_examples=200)
@given(ANY_JSON | objects(*NAMES), st.none() | st.integers(300, 599))
def test_any_error_is_a_failure(body: Json, status: int | None) -> None:
    failure = refused(body, status, Arrived())
    assert isinstance(failure, CallFailed)
    assert len(failure.error_type) <= 64
    if isinstance(body, dict):
        error_in(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        parse(data)
    except ValueError as error:
        assert not isinstance(error, UnicodeError)  # noqa: PT017
