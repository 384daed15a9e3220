"""How many input tokens a request can cost at most. Pure.

A request's JSON bytes always bounded the prompt tokens at OpenAI and Azure (1,714 recorded answers, median 4.7 x);
its o200k tokens did not. Elsewhere bytes fall short too, by hidden prompts: hence the overheads per model.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.config import ModelConfig
from agent.models.protocol import Draft
from agent.types import Reply

_CAP_MEMBER_BYTES = 48
"""`],"max_completion_tokens":` with nineteen digits and the closing brace."""


@dataclass(frozen=True, slots=True)
class LastCall:
    """The last answered call of the same conversation to the same model and endpoint: its draft, and the input
    tokens that the provider counted for it. `response_model`: what answered. `breached`: this count or an earlier one
    of the conversation was above the bound that had been held for it."""

    draft: Draft
    input_tokens: int
    response_model: str | None = None
    breached: bool = False


_MOST_BYTES_A_TOKEN = 16
"""A count below that of its body is none: the held bound of the next call would be as wrong."""


def counted(before: LastCall | None, draft: Draft, bound: int, reply: Reply) -> LastCall | None:
    """What is remembered of an answered call whose `bound` of input tokens was held; `before` it was the last one."""
    if reply.usage is None or reply.usage.input_tokens is None:
        return before
    tokens = reply.usage.input_tokens
    breached = tokens > bound or (before is not None and before.breached)
    return LastCall(draft, tokens, reply.response_model, breached)


def by_bytes(head: bytes, tool_count: int, config: ModelConfig) -> int:
    """Tokens for a body that begins with `head` (`Draft`)."""
    overheads = config.overhead_per_request + config.overhead_per_tool * tool_count
    return len(head) + _CAP_MEMBER_BYTES + overheads


def tightened(draft: Draft, config: ModelConfig, last: LastCall | None) -> int:
    """The bound, from what the last call really cost where `draft` goes on from it: plus the bytes added since.

    Never below the last real count: where that was above its own bound, this bound learns from it. A count that cannot
    be, or that another model made, or of a provider that has broken a bound before, makes no bound smaller.
    """
    if last is None or not draft.head.startswith(last.draft.head):
        return draft.input_bound
    grown = last.input_tokens + len(draft.head) - len(last.draft.head) + config.overhead_per_request
    return grown if _is_reliable(last, config) else max(grown, draft.input_bound)


def _is_reliable(last: LastCall, config: ModelConfig) -> bool:
    """The model that was asked, or a dated alias of it, made a count that can be one."""
    if last.breached or last.input_tokens * _MOST_BYTES_A_TOKEN < len(last.draft.head):
        return False
    name = last.response_model
    return not name or name in config.response_names or name.startswith(config.model)
