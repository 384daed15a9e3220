"""A turn as the provider's objects: a completion, the chunks of a stream, and what is said of failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import orjson

from agent.service.errors import NO_RETRY, ApiError, retry_after
from agent.store.turn_status import TurnStatus
from agent.types import Json, Outcome, TurnResult

FinishReason = Literal["stop", "length", "content_filter"]

_OUTCOMES: dict[str, Outcome] = {outcome: outcome for outcome in get_args(Outcome)}

_DOWN_SECONDS = 5.0
"""When to ask again after every model of the chain failed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is told of a turn that is over, from whichever source. Money is nano-dollars, `began` Unix seconds."""

    turn_id: str
    conversation_id: str
    trace_id: str
    agent: str
    outcome: Outcome
    text: str
    reason: str | None
    detail: Mapping[str, Json]
    began: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: int
    prompt: tuple[str, str]


def of_result(result: TurnResult, began: int) -> Answered:
    """`began`: Unix seconds."""
    refused = result.refused
    return Answered(
        turn_id=result.turn_id,
        conversation_id=result.conversation_id,
        trace_id=result.trace_id,
        agent=result.agent,
        outcome=result.outcome,
        text=result.text or "",
        reason=result.reason,
        detail=refused.detail() if refused else {},
        began=began,
        input_tokens=result.usage.input_tokens or 0,
        output_tokens=result.usage.output_tokens or 0,
        cached_tokens=result.usage.cache_read_tokens or 0,
        reasoning_tokens=result.usage.reasoning_tokens or 0,
        cost=result.cost_nano_usd,
        prompt=(result.prompt_name, result.prompt_version),
    )


def of_status(status: TurnStatus) -> Answered:
    """The same of a turn that was read from the store. One that isn't over has no outcome yet: `cancelled`."""
    return Answered(
        turn_id=status.turn,
        conversation_id=status.conversation,
        trace_id=_trace_id(status.traceparent),
        agent=status.agent,
        outcome=_OUTCOMES.get(status.outcome or "", "cancelled"),
        text=status.text or "",
        reason=status.reason,
        detail=status.detail or {},
        began=status.begun_at // 1_000_000,
        input_tokens=status.input_tokens or 0,
        output_tokens=status.output_tokens or 0,
        cached_tokens=status.cache_read_tokens or 0,
        reasoning_tokens=status.reasoning_tokens or 0,
        cost=status.cost,
        prompt=(status.prompt_name, status.prompt_version),
    )


def _trace_id(traceparent: str | None) -> str:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else ""


def failure(answered: Answered) -> ApiError | None:
    """None where there is something to show: an answer, or as much of one as a limit left. What a model said before
    the tools that nobody has heard the results of is no answer."""
    about = about_turn(answered)
    told = answered.reason or answered.outcome
    match answered.outcome:
        case "refused_budget":
            numbers = {**answered.detail, "window_ends": None}
            return ApiError(402, "budget_exceeded", told, detail={**about, "budget": numbers})
        case "context_full":
            return ApiError(400, "context_length_exceeded", told, param="messages", detail=about)
        case "limit_time" if not answered.text:
            return ApiError(504, "deadline_exceeded", told, headers=NO_RETRY, detail=about)
        case "provider_failed" | "resumed_unknown" | "cancelled":
            headers = {**NO_RETRY, **retry_after(_DOWN_SECONDS)}
            return ApiError(503, answered.outcome, told, headers=headers, detail=about)
    return None


def finish_reason(outcome: Outcome) -> FinishReason:
    if outcome == "answered":
        return "stop"
    return "content_filter" if outcome == "content_filtered" else "length"


def about_turn(answered: Answered) -> dict[str, Json]:
    """The `agent` object."""
    name, version = answered.prompt
    return {
        "agent": {
            "turn_id": answered.turn_id,
            "conversation_id": answered.conversation_id,
            "trace_id": answered.trace_id,
            "outcome": answered.outcome,
            "reason": answered.reason,
            "cost_nano_usd": answered.cost,
            "prompt": {"name": name, "version": version},
        }
    }


def usage(answered: Answered) -> dict[str, Json]:
    """Sums over the turn. `cost_usd` is what was charged, failed attempts included."""
    return {
        "prompt_tokens": answered.input_tokens,
        "completion_tokens": answered.output_tokens,
        "total_tokens": answered.input_tokens + answered.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answered.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": answered.reasoning_tokens},
        "cost_usd": answered.cost / 1e9,
    }


def completion(answered: Answered) -> dict[str, Json]:
    return {
        **_head(answered.turn_id, answered.agent, answered.began, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answered.text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason(answered.outcome),
            }
        ],
        "usage": usage(answered),
        **about_turn(answered),
    }


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of one stream, as lines of server-sent events. `began`: Unix seconds."""

    turn_id: str
    agent: str
    began: int

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def closing(self, answered: Answered, include_usage: bool) -> bytes:
        """The end of a turn, with the `agent` object, and its usage in a chunk of its own where that was asked for."""
        last = self._chunk({}, finish_reason(answered.outcome), about_turn(answered))
        if include_usage:
            head = _head(self.turn_id, self.agent, self.began, "chat.completion.chunk")
            last += event({**head, "choices": [], "usage": usage(answered)})
        return last + b"data: [DONE]\n\n"

    def _chunk(
        self, delta: dict[str, Json], finish: FinishReason | None = None, more: Mapping[str, Json] | None = None
    ) -> bytes:
        head = _head(self.turn_id, self.agent, self.began, "chat.completion.chunk")
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice], **(more or {})})


KEEP_ALIVE = b": waiting\n\n"
"""A comment of server-sent events: clients drop it, proxies see that the connection lives."""


def event(document: Mapping[str, Json]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def _head(turn_id: str, agent: str, began: int, kind: str) -> dict[str, Json]:
    return {"id": f"chatcmpl-{turn_id}", "object": kind, "created": began, "model": agent}
