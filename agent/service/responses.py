"""The shapes of what is answered, for the OpenAPI document. What is sent is made in `answer.py`; a test holds both to
the same."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PromptName(_Body):
    name: str
    version: str


class AgentObject(_Body):
    """What the provider's format has no place for. Money is nano-dollars, all that was charged for the turn."""

    turn_id: str
    conversation_id: str
    trace_id: str
    outcome: str
    reason: str | None
    cost_nano_usd: int
    prompt: PromptName


class CachedTokens(_Body):
    cached_tokens: int


class ReasoningTokens(_Body):
    reasoning_tokens: int


class UsageBody(_Body):
    """Sums over the turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens
    completion_tokens_details: ReasoningTokens
    cost_usd: float


class AnswerMessage(_Body):
    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(_Body):
    index: Literal[0]
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop", "length", "content_filter"]


class Completion(_Body):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageBody
    agent: AgentObject


class BudgetNumbers(BaseModel):
    """In nano-dollars, or in tokens, as `unit` says. `window_ends`: null for a budget that never begins anew."""

    budget: str
    unit: Literal["usd", "tokens"]
    limit: int
    charged: int
    held: int
    asked: int
    window_ends: int | None


class ErrorObject(_Body):
    message: str
    type: str
    param: str | None
    code: str
    agent: AgentObject | None = None
    budget: BudgetNumbers | None = None


class ErrorBody(_Body):
    error: ErrorObject


class ModelBody(_Body):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelListBody(_Body):
    object: Literal["list"]
    data: list[ModelBody]


class TurnBody(_Body):
    id: str
    object: Literal["agent.turn"]
    agent: str
    conversation_id: str
    trace_id: str
    state: Literal["queued", "running", "done"]
    outcome: str | None
    text: str | None
    reason: str | None
    created: int
    ended: int | None
    prompt: PromptName
    models: list[str]
    usage: UsageBody
    cost_nano_usd: int


class HealthBody(_Body):
    status: str
