"""Content: off by default everywhere, in the published form where it is on, and never with a secret in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from telemetry.content import CAPTURE_SWITCH, Content, Json, redact
from telemetry.exporters import setup
from tests.support.received import Received
from tests.telemetry.samples import ATTEMPT, CALL, KNOWN

CANARY = "xyzzy-canary"


@dataclass(frozen=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


SAID = (
    Message("system", f"You help. {CANARY}"),
    Message("user", f"My laptop. {CANARY}"),
    Message("assistant", "", (ToolCall("t-1", "lookup_user", f'{{"user_id": "{CANARY}"}}'),)),
    Message("tool", f"Alex {CANARY}", tool_call_id="t-1"),
)
ANSWER = Message("assistant", f"Reboot. {CANARY}")
TOOLS: tuple[Json, ...] = ({"type": "function", "name": "lookup_user", "description": CANARY, "parameters": {}},)


def run(received: Received, mode: str | None) -> None:
    """A turn with the canary wherever content can be."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint} | ({CAPTURE_SWITCH: mode} if mode else {})
    telemetry = setup(env, version="1", known=KNOWN)
    with telemetry.spans.invoke_agent("helpdesk", "turn-1") as turn:
        with telemetry.spans.chat(CALL) as chat:
            chat.finish(ATTEMPT)
            chat.content(SAID, (ANSWER,), "stop", TOOLS, {"user": CANARY})
            chat.fail("malformed", ValueError(CANARY))
        with telemetry.spans.execute_tool("helpdesk", "lookup_user", "t-1") as tool:
            tool.content(f'{{"user_id": "{CANARY}"}}', CANARY)
            tool.fail("ValueError", ValueError(CANARY))
        turn.content(SAID, (ANSWER,), TOOLS)
        turn.finish("answered", cost_nano_usd=0)
    telemetry.metrics.attempt(ATTEMPT, chat.exemplar)
    telemetry.shutdown()


@pytest.mark.parametrize("mode", [None, "NO_CONTENT", ""])
def test_off_means_in_no_byte(otlp_http: Received, mode: str | None) -> None:
    run(otlp_http, mode)
    assert len(otlp_http.spans) == 3
    assert {log.event_name for log in otlp_http.logs} == {
        "gen_ai.client.operation.exception",
        "gen_ai.execute_tool.exception",
    }
    assert CANARY.encode() not in otlp_http.raw


def test_on_spans(otlp_http: Received) -> None:
    run(otlp_http, "span_only")
    chat, tool, agent = otlp_http.spans
    expected = [
        {"role": "user", "parts": [{"type": "text", "content": f"My laptop. {CANARY}"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "t-1", "name": "lookup_user", "arguments": {"user_id": CANARY}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t-1", "response": f"Alex {CANARY}"}]},
    ]
    answer = [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": f"Reboot. {CANARY}"}],
            "finish_reason": "stop",
        }
    ]
    for span in (chat, agent):
        assert json.loads(str(span.attributes["gen_ai.input.messages"])) == expected
        assert json.loads(str(span.attributes["gen_ai.output.messages"])) == answer
        assert json.loads(str(span.attributes["gen_ai.system_instructions"])) == [
            {"type": "text", "content": f"You help. {CANARY}"}
        ]
        assert json.loads(str(span.attributes["gen_ai.tool.definitions"])) == list(TOOLS)
    assert chat.attributes["gen_ai.prompt.variable.user"] == CANARY
    assert chat.status_message == CANARY
    assert json.loads(str(tool.attributes["gen_ai.tool.call.arguments"])) == {"user_id": CANARY}
    assert json.loads(str(tool.attributes["gen_ai.tool.call.result"])) == {"content": CANARY}
    assert CANARY not in str(otlp_http.logs)


def test_on_events(otlp_http: Received) -> None:
    run(otlp_http, "EVENT_ONLY")
    assert CANARY not in str(otlp_http.spans)
    events = {log.event_name: log for log in otlp_http.logs}
    details = events["gen_ai.client.inference.operation.details"]
    assert details.severity == "DEBUG"
    assert details.attributes["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": f"Reboot. {CANARY}"}], "finish_reason": "stop"}
    ]
    assert details.attributes["gen_ai.prompt.variable.user"] == CANARY
    assert details.attributes["gen_ai.usage.input_tokens"] == 1_000
    assert events["gen_ai.client.operation.exception"].attributes["exception.message"] == CANARY
    assert events["gen_ai.execute_tool.exception"].attributes["exception.message"] == CANARY


def test_on_both(otlp_http: Received) -> None:
    run(otlp_http, "SPAN_AND_EVENT")
    assert CANARY in str(otlp_http.spans)
    assert CANARY in str(otlp_http.logs)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=f"{CAPTURE_SWITCH}='YES': expected one of NO_CONTENT, SPAN_ONLY"):
        Content.from_env({CAPTURE_SWITCH: "yes"})


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abcdef1234567890", "Authorization: [authorization]"),
        ("key sk-proj-abcdefghijklmnop1234", "key [api key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[aws key]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[token]"),
        ("write to alex.chen@example.co.uk now", "write to [e-mail] now"),
        ("card 4111 1111 1111 1111.", "card [card number]."),
        ("card 4111-1111-1111-1112.", "card 4111-1111-1111-1112."),
        ("password: hunter22", "password: [secret]"),
        ("My password is hunter22, help", "My password is [secret], help"),
        ("My password is expired", "My password is expired"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", "[private key]"),
        ("-----BEGIN PRIVATE KEY-----\nMII, cut", "[private key]"),
        ("U-123 has a MacBook Pro M3 in London", "U-123 has a MacBook Pro M3 in London"),
    ],
)
def test_redaction(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_redaction_inside_json() -> None:
    given = '{"api_key": "short", "max_tokens": 5, "card": 4111111111111111, "who": ["a@b.example"], "ok": true}'
    assert Content(on_spans=True).object(given) == {
        "api_key": "[secret]",
        "max_tokens": 5,
        "card": "[card number]",
        "who": ["[e-mail]"],
        "ok": True,
    }


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", "[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, '"x"'])
def test_what_is_no_object_becomes_one(text: str) -> None:
    assert list(Content(on_spans=True).object(text)) == ["content"]


def test_long_text_is_cut_and_says_so_and_leaks_nothing_at_the_cut() -> None:
    secret = "sk-abcdefghijklmnopqrstuvwxyz"
    for length in range(8_160, 8_200, 3):
        shown = Content(on_spans=True).text("x" * length + " " + secret + " " + "y" * 20_000)
        assert len(shown) < 8_300
        assert "sk-" not in shown
        assert shown.endswith("characters in all]")


def test_a_secret_at_the_first_cut_is_not_halved_into_sight() -> None:
    """Where redaction shortens the text so much that even its end is shown."""
    text = "a@b.example " * 1_364 + "sk-abcdefghijklmnopqrstuvwxyz" * 9
    assert "sk-" in text[:16_384][-20:]
    assert "sk-" not in Content(on_spans=True, redact=lambda t: redact(t).replace("[e-mail] ", "")).text(text)


def test_a_long_conversation_keeps_its_newest_messages() -> None:
    said = [Message("user", f"{i} " + "z" * 8_000) for i in range(40)]
    shown = Content(on_spans=True).messages(said)
    first, *rest = shown
    assert "earlier messages not captured" in str(first)
    assert str(rest[-1]).startswith("{'role': 'user', 'parts': [{'type': 'text', 'content': '39 ")
    assert len(json.dumps(shown)) < 70_000


def test_text_that_utf8_cannot_say_is_replaced() -> None:
    assert Content(on_spans=True).object('{"a": "\\ud800"}') == {"a": "?"}


@pytest.mark.parametrize("mode", ["SPAN_ONLY", "EVENT_ONLY"])
def test_a_prompt_variable_is_redacted_like_all_content(otlp_http: Received, mode: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint, CAPTURE_SWITCH: mode}
    telemetry = setup(env, version="1", known=KNOWN)
    with telemetry.spans.chat(CALL) as chat:
        chat.finish(ATTEMPT)
        chat.content(SAID, (ANSWER,), variables={"contact": "write to alex.chen@example.co.uk", "floor": 3})
    telemetry.shutdown()
    kept = otlp_http.spans[0].attributes if mode == "SPAN_ONLY" else otlp_http.logs[0].attributes
    assert kept["gen_ai.prompt.variable.contact"] == "write to [e-mail]"
    assert kept["gen_ai.prompt.variable.floor"] == "3"
