"""Values that the tests of telemetry start from."""

from __future__ import annotations

from dataclasses import replace

from telemetry.attempt import Attempt, Call
from telemetry.labels import Known
from telemetry.pricing import Cost
from telemetry.usage import Usage

MODEL = "gpt-5-mini"
ANSWERED = "gpt-5-mini-2025-08-07"

CALL = Call(
    id="call-1",
    turn_id="turn-1",
    step="m0",
    epoch=1,
    agent="helpdesk",
    conversation_id="conversation-1",
    tenant="acme",
    user="u-1",
    provider="openai",
    model=MODEL,
    server_address="api.openai.com",
    server_port=443,
    prompt_name="helpdesk",
    prompt_version="1",
    prompt_digest="sha256:0",
    stream=False,
    parameters=(("max_completion_tokens", 1024), ("temperature", 0), ("unheard_of", "x")),
)
ATTEMPT = Attempt(
    id="attempt-1",
    call=CALL,
    number=1,
    started=1,
    ended=700_001,
    duration=0.7,
    held_nano_usd=6_000,
    cost=Cost(nano_usd=2_000, quality="measured", source="book"),
    usage=Usage(input_tokens=1_000, output_tokens=100, cache_read_tokens=500, reasoning_tokens=20),
    response_id="chatcmpl-1",
    response_model=ANSWERED,
    finish_reasons=("stop",),
)
KNOWN = Known(
    agents=frozenset({"helpdesk"}),
    providers=frozenset({"openai"}),
    models=frozenset({MODEL, ANSWERED}),
    servers=frozenset({"api.openai.com"}),
    tools=frozenset({"lookup_user", "search_kb"}),
    prompts=frozenset({("helpdesk", "1")}),
    budgets=frozenset({"month"}),
)
EXEMPLAR = {"trace_id": "ab" * 16, "span_id": "cd" * 8}


def costing(nano_usd: int) -> Attempt:
    return replace(ATTEMPT, cost=replace(ATTEMPT.cost, nano_usd=nano_usd))
