"""What a provider says it used: a response body in, token counts and its own statement of cost out. Pure.

The shapes are those that OpenAI-compatible providers were recorded to send; none of them may raise here. Prices are
not known here: `telemetry.pricing` turns a `Usage` into money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Quality = Literal["measured", "estimated", "unknown"]
"""`measured`: the provider said so. `estimated`: counted by us. `unknown`: nobody can say."""

MAX_TOKENS = 10**9
"""More tokens than this in one answer is nonsense, whoever states it: a thousand times the largest window."""

MAX_USD = Decimal(10**6)
"""More USD than this for one answer is nonsense, and a few thousand times it would not fit the books."""


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


@dataclass(frozen=True, slots=True)
class Reported:
    """What one body or chunk reported.

    `usage` is None where there is none or where its counts contradict each other; else its input and output are
    counted, both. `stated_usd` is the cost that the provider itself states. `problem` says in words, with the
    numbers, what was refused or had to be interpreted; it can stand beside a usage.
    """

    usage: Usage | None
    stated_usd: Decimal | None
    problem: str | None


NOTHING = Reported(None, None, None)
"""What a body without a usage object reports."""

_OBJECT = (dict, Mapping)
"""A JSON object. Nearly always a dict, which is told at once; asking the abstract class takes a call each time."""


def read_usage(body: Mapping[str, object]) -> Reported:
    """Reads a chat completion's body, or one chunk of its stream. Never raises.

    Streams may carry usage in the last chunk, in a chunk with choices or in every chunk; then it is cumulative. So
    a stream's usage is the last result that is not `NOTHING`, and results are never added up.
    """
    raw = _usage_object(body)
    if raw is None:
        return NOTHING
    stated_usd, cost_problem = _stated_usd(raw)
    usage: Usage | None = None
    try:
        usage, problem = _tokens(raw)
    except _Refused as refused:
        problem = str(refused)
    problems = [text for text in (problem, cost_problem) if text]
    return Reported(usage, stated_usd, "; ".join(problems) or None)


class _Refused(ValueError):
    """The counts can't be used; the text names both values."""


def _usage_object(body: Mapping[str, object]) -> Mapping[str, object] | None:
    # Groq states the same usage at both places of one chunk, or at the second alone: the first found counts.
    for place in (body, body.get("x_groq")):
        usage = place.get("usage") if place and isinstance(place, _OBJECT) else None
        if usage and isinstance(usage, _OBJECT):
            return usage
    return None


# --- tokens --------------------------------------------------------------------------------------------------------


def _tokens(raw: Mapping[str, object]) -> tuple[Usage, str | None]:
    stated = _counts(raw, _COUNTS)
    prompt = _counts(raw.get("prompt_tokens_details"), _PROMPT_COUNTS)
    completion = _counts(raw.get("completion_tokens_details"), _COMPLETION_COUNTS)
    # Stated at several places it is one count, and a zero beside it a default. Of two the dearer one is taken.
    cached = _one(min, prompt.get("cached_tokens"), *map(stated.get, _CACHED))
    written = _one(max, prompt.get("cache_write_tokens"), *map(stated.get, _WRITTEN))
    reasoning = _one(max, completion.get("reasoning_tokens"), stated.get("reasoning_tokens"))
    modalities = {"input": _modalities(prompt), "output": _modalities(completion)}

    input_tokens, output_tokens, hidden = _totals(raw, stated)
    problem = None
    if hidden < 0:
        problem = f"total_tokens is {-hidden} below the sum of prompt and completion tokens: not used"
    elif hidden and _is_audio_input(raw, modalities["input"], input_tokens):
        input_tokens += hidden
        modalities["input"].setdefault("audio", hidden)
    else:
        output_tokens += hidden
    if reasoning is not None and reasoning > output_tokens:
        problem = f"reasoning_tokens ({reasoning}) exceed completion_tokens ({output_tokens})"
        # Beside a total that has no room for more the reasoning is all there was; without one it comes on top.
        output_tokens = reasoning if "total_tokens" in stated else output_tokens + reasoning

    _require(cached or 0, input_tokens, "cached tokens", "prompt tokens")
    _require((cached or 0) + (written or 0), input_tokens, "cached and written tokens", "prompt tokens")
    _require(sum(modalities["input"].values()), input_tokens, "tokens by modality", "prompt tokens")
    _require(sum(modalities["output"].values()), output_tokens, "tokens by modality", "completion tokens")
    usage = Usage(input_tokens, output_tokens, cached, written, reasoning, tuple(_flattened(modalities)))
    return usage, problem


_CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens")
_MODALITIES = {"audio_tokens": "audio", "image_tokens": "image", "video_tokens": "video"}

_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", *_CACHED, *_WRITTEN})
_PROMPT_COUNTS = frozenset({"cached_tokens", "cache_write_tokens", *_MODALITIES})
_COMPLETION_COUNTS = frozenset({"reasoning_tokens", *_MODALITIES})


def _totals(raw: Mapping[str, object], stated: Mapping[str, int]) -> tuple[int, int, int]:
    """Prompt and completion tokens, and by how much the stated total exceeds them (negative: falls short)."""
    prompt, completion, total = map(stated.get, ("prompt_tokens", "completion_tokens", "total_tokens"))
    if total is not None and prompt is not None and completion is None:
        completion = total - prompt
    elif total is not None and completion is not None and prompt is None:
        prompt = total - completion
    if prompt is None or completion is None:
        shown = [_shown(raw.get(name)) for name in ("prompt_tokens", "completion_tokens")]
        raise _Refused("prompt_tokens ({}) and completion_tokens ({}) are not both counted".format(*shown))
    if prompt < 0 or completion < 0:
        _require(max(prompt, completion), total or 0, "one side's tokens", "total_tokens")
    if prompt == completion == 0:
        raise _Refused("prompt_tokens (0) and completion_tokens (0): no answer takes no tokens")
    return prompt, completion, 0 if total is None else total - prompt - completion


def _is_audio_input(raw: Mapping[str, object], modalities: Mapping[str, int], prompt: int) -> bool:
    """Where a total exceeds its parts, the rest is thinking, but for Mistral's audio, which `prompt_tokens` omits."""
    seconds = raw.get("prompt_audio_seconds")
    return (isinstance(seconds, int | float) and seconds > 0) or modalities.get("audio", 0) > prompt


def _modalities(details: Mapping[str, int]) -> dict[str, int]:
    return {modality: details[name] for name, modality in _MODALITIES.items() if details.get(name)}


def _flattened(modalities: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[Literal["input", "output"], str, int]]:
    sides: tuple[Literal["input", "output"], ...] = ("input", "output")
    return ((side, modality, count) for side in sides for modality, count in modalities[side].items())


def _counts(place: object, names: Set[str]) -> dict[str, int]:
    """The counts that an object states under these names: it may also hold seconds, flags, texts and objects there."""
    found: dict[str, int] = {}
    if not place or not isinstance(place, _OBJECT):
        return found
    for name, value in place.items():
        if name not in names:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:  # a bool is an int to isinstance
            continue
        if not 0 <= value <= MAX_TOKENS:
            raise _Refused(f"{name} ({_shown(value)}) is not a count between 0 and {MAX_TOKENS}")
        found[name] = value
    return found


def _one(pick: Callable[[Iterable[int]], int], *counts: int | None) -> int | None:
    if any(counts):
        return pick(filter(None, counts))
    return 0 if 0 in counts else None


def _require(part: int, whole: int, part_name: str, whole_name: str) -> None:
    if part > whole:
        raise _Refused(f"{part_name} ({part}) exceed {whole_name} ({whole})")


# --- stated cost ---------------------------------------------------------------------------------------------------

_TICKS_PER_USD = 10**10  # xAI's unit: 232,856,000 ticks were billed as $0.0232856


def _stated_usd(raw: Mapping[str, object]) -> tuple[Decimal | None, str | None]:
    cost = raw.get("cost")
    if isinstance(cost, _OBJECT):
        cost = cost.get("total_cost")
    per_usd = 1
    if cost is None:
        cost, per_usd = raw.get("cost_in_usd_ticks"), _TICKS_PER_USD
    if cost is None:
        return None, None
    usd = _amount(cost, per_usd)
    if usd is None:
        return None, f"the stated cost ({_shown(cost)}) is not an amount"
    return usd + _paid_upstream(raw), None


def _paid_upstream(raw: Mapping[str, object]) -> Decimal:
    """OpenRouter with one's own key: its `cost` is its fee alone; the model is paid for at the provider."""
    details = raw.get("cost_details")
    if raw.get("is_byok") is not True or not isinstance(details, _OBJECT):
        return Decimal(0)
    return _amount(details.get("upstream_inference_cost"), 1) or Decimal(0)


def _amount(value: object, per_usd: int) -> Decimal | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_USD * per_usd:
        return None
    return Decimal(repr(value)) / per_usd


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:60])
    # An integer of more than 4,300 digits raises where it is made text, also inside of another value.
    if isinstance(value, int) and abs(value) > _SHOWN:
        return "an integer of more than 18 digits"
    return repr(value) if value is None or isinstance(value, int | float) else type(value).__name__


_SHOWN = 10**18
