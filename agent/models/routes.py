"""Which model of a fallback chain is asked next. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.config import ModelConfig
from agent.models.protocol import CallFailed


def next_model(chain: Sequence[ModelConfig], index: int, failure: CallFailed) -> int | None:
    """The index after `index` if the failed model's `fallback_on` names the failure's kind; None: the call ends.

    Never after text was shown: two models would speak in one answer.
    """
    following = index + 1
    if failure.shown or following >= len(chain) or failure.kind not in chain[index].fallback_on:
        return None
    return following
