"""How many input tokens a request can cost at most. Pure.

A request's JSON bytes always bounded the prompt tokens at OpenAI and Azure (1,714 recorded answers, median 4.7 x);
its o200k tokens did not. Elsewhere bytes fall short too, by hidden prompts: hence the overheads per model.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.config import ModelConfig
from agent.models.protocol import Draft

_CAP_MEMBER_BYTES = 48
"""`],"max_completion_tokens":` with nineteen digits and the closing brace."""


@dataclass(frozen=True, slots=True)
class LastCall:
    """The last answered call of the same conversation to the same model and endpoint: its draft, and the input
    tokens that the provider counted for it."""

    draft: Draft
    input_tokens: int


def by_bytes(head: bytes, tool_count: int, config: ModelConfig) -> int:
    """Tokens for a body that begins with `head` (`Draft`)."""
    overheads = config.overhead_per_request + config.overhead_per_tool * tool_count
    return len(head) + _CAP_MEMBER_BYTES + overheads


def tightened(draft: Draft, config: ModelConfig, last: LastCall | None) -> int:
    """The bound, from what the last call really cost where `draft` goes on from it: plus the bytes added since.

    Never below the last real count: where that was above its own bound, this bound learns from it.
    """
    if last is None or not draft.head.startswith(last.draft.head):
        return draft.input_bound
    return last.input_tokens + len(draft.head) - len(last.draft.head) + config.overhead_per_request
