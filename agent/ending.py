"""How a turn ended, and why, in words for whoever asked."""

from __future__ import annotations

from dataclasses import replace

from agent.call import Called
from agent.config import Bounds
from agent.money.account import Refused
from agent.turn import End, Turn
from agent.types import Outcome

_WORDS: dict[Outcome, str] = {
    "limit_steps": "the limit of {0.steps} steps was reached (bounds.steps)",
    "limit_tools": "the limit of {0.tool_calls} tool calls was reached (bounds.tool_calls)",
    "limit_time": "the deadline of {0.deadline_seconds:g} s was reached (bounds.deadline_seconds)",
    "limit_tokens": "the answer was cut at the limit of output tokens (bounds.output_tokens is {0.output_tokens})",
    "repeating": "the model went on repeating the same tool calls",
    "content_filtered": "the provider filtered the answer",
}
"""Of outcomes that no call explains; `{0}` are the turn's bounds, called by their keys in `agents.yaml`."""


def outcome_of(turn: Turn, closing: Outcome | None, called: Called) -> Outcome:
    """How a turn ends whose call brought no reply."""
    if called.failure is None:
        return "refused_budget"
    if closing and called.failure.error_type == "empty_reply":
        return closing
    if called.failure.kind == "context_overflow":
        return "context_full"
    if called.failure.error_type == "content_filter":
        return "content_filtered"
    return "limit_time" if turn.progress().remaining <= 0 else "provider_failed"


def explained(end: End, called: Called | None, bounds: Bounds) -> End:
    """The end with its reason; `called` is the turn's last call, where this process made one."""
    if end.outcome == "answered":
        return end
    failure, refused = (called.failure, called.refused) if called else (None, None)
    why = [*called.fallen] if called else []
    why += [f"{called.model}: {failure}"] if called and failure else []
    why += [_no(refused)] if refused else []
    return replace(
        end,
        reason="; ".join(why) or _WORDS.get(end.outcome, end.outcome).format(bounds),
        refused=refused,
        error_type=failure.error_type if failure and end.outcome == "provider_failed" else end.outcome,
    )


def _no(refused: Refused) -> str:
    amounts = (refused.limit, refused.charged, refused.held, refused.asked)
    said = [f"${n / 1e9:.6f}" if refused.unit == "usd" else f"{n:,} tokens" for n in amounts]
    return f"budget {refused.budget}: limit {said[0]}, charged {said[1]}, held {said[2]}; this call asked for {said[3]}"
