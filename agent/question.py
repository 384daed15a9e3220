"""The question of one call to one model: request, body, upper bound of its price, room for an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils

from agent.conversing import Conversing
from agent.models.estimate import about
from agent.models.input_bound import tightened
from agent.models.protocol import CallFailed, Draft, NoRoom, Request
from agent.money.account import Price
from agent.runtime import Agent, Target
from agent.turn import Ask, Turn
from agent.types import Outcome
from telemetry.attempt import Call
from telemetry.pricing import PricingError

CLOSING: dict[Outcome, str] = {
    "limit_steps": "the limit of steps",
    "limit_tools": "the limit of tool calls",
    "limit_time": "the time limit",
}
"""Limits near which a model gets one last call without tools, as it is told of them."""


@dataclass(frozen=True, slots=True)
class Question:
    """Ready to be asked. `input_tokens` is an upper bound, `cap` the most output tokens that are wanted and fit.
    `priced_at`: whose prices bound it, and are charged, however long the attempts take."""

    target: Target
    request: Request
    draft: Draft
    call: Call
    input_tokens: int
    price: Price
    priced_at: datetime
    cap: int


async def question(agent: Agent, target: Target, turn: Turn, ask: Ask, so_far: Conversing) -> Question:
    """Raises `CallFailed` where the conversation doesn't fit the model's window, or the model has no price today."""
    config = target.model.config
    asked = request(agent, turn, ask, so_far)
    draft = target.model.encode(asked, so_far.drafts.get(target.name))
    so_far.drafts[target.name] = asked, draft
    tokens = tightened(draft, config, so_far.last.get(target.name))
    cap = min(turn.bounds.output_tokens, config.output_cap)
    if tokens + cap > config.context_window:
        cap = min(cap, await _room(target, draft, tokens))
    priced_at = datetime.now(UTC)
    try:
        price = target.tariff.bound(tokens, priced_at)
    except PricingError as error:
        raise CallFailed("bad_request", "no_price", str(error), billed="no") from error
    return Question(target, asked, draft, _call(agent, target, turn, ask, so_far.stream), tokens, price, priced_at, cap)


def request(agent: Agent, turn: Turn, ask: Ask, so_far: Conversing) -> Request:
    system, messages = agent.prompts[turn.prompt.digest], so_far.transcript.of(turn)
    if not ask.closing:
        return Request(system, messages, agent.tools.encoded, len(agent.tools.tools), so_far.stream)
    system += (
        f"\n\nYou have reached {CLOSING[ask.closing]} of this turn: there are no more tools. "
        "Answer now with what you have found out, and say what is still open."
    )
    return Request(system, messages, stream=so_far.stream)


async def _room(target: Target, draft: Draft, bound: int) -> int:
    """Output tokens that the window has left. By their `bound` the input's may be too many, so they are counted."""
    config = target.model.config
    tokens = min(bound, await asyncio.to_thread(about, draft.head.decode()))
    room = config.context_window - tokens
    if room < config.minimal_answer:
        said = (
            f"about {tokens:,} tokens leave no room for an answer in the window of {config.context_window:,}; "
            "say less, or begin a new conversation"
        )
        raise NoRoom("context_overflow", "context_full", said, billed="no")
    return room


def _call(agent: Agent, target: Target, turn: Turn, ask: Ask, stream: bool) -> Call:
    config = target.model.config
    return Call(
        id=str(uuid_utils.uuid7()),
        turn_id=turn.id,
        step=ask.key,
        epoch=turn.epoch,
        agent=agent.name,
        conversation_id=turn.conversation_id,
        tenant=turn.caller.tenant,
        user=turn.caller.user,
        provider=config.provider,
        model=config.model,
        server_address=target.server_address,
        server_port=target.server_port,
        prompt_name=turn.prompt.name,
        prompt_version=turn.prompt.version,
        prompt_digest=turn.prompt.digest,
        stream=stream,
        parameters=tuple(config.parameters.items()),
    )
