"""What a provider says it used: a response body in, token counts out. Pure; no money here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Quality = Literal["measured", "estimated", "unknown"]
"""`measured`: the provider said so. `estimated`: counted by us. `unknown`: nobody can say."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one attempt, as inclusive parent and child buckets.

    `input_tokens` includes `cache_read_tokens` and `cache_write_tokens`; `output_tokens` includes
    `reasoning_tokens`. `by_modality` holds (`input` | `output`, modality, tokens) for what is not text.
    A count that nobody stated is None, and None is not zero.
    """

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    by_modality: tuple[tuple[Literal["input", "output"], str, int], ...] = ()
