"""What a provider says it used: a response body in, token counts and its own statement of cost out. Pure.

The shapes are those that OpenAI-compatible providers were recorded to send; none of them may raise here. Prices are
not known here: `telemetry.pricing` turns a `Usage` into money.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from telemetry.stated_cost import shown, stated_usd

Quality = Literal["measured", "estimated", "unknown"]
"""`measured`: the provider said so. `estimated`: counted by us. `unknown`: nobody can say."""

MAX_TOKENS = 10**9
"""More tokens than this in one answer is nonsense, whoever states it: a thousand times the largest window."""


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
    usd, cost_problem = stated_usd(raw)
    usage: Usage | None = None
    try:
        usage, problem = _tokens(raw)
    except _Refused as refused:
        problem = str(refused)
    problems = [text for text in (problem, cost_problem) if text]
    return Reported(usage, usd, "; ".join(problems) or None)


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
    stated = _counts(raw, _USAGE)
    for name, names in _DETAILS:
        if details := raw.get(name):
            stated = _counts(details, names, stated)
    cached, written, reasoning = stated.get("cached"), stated.get("written"), stated.get("reasoning")
    beside = (cached or 0) + (written or 0)
    modalities = {"input": _modalities(stated, "input"), "output": _modalities(stated, "output")}

    input_tokens, output_tokens, hidden = _totals(raw, stated)
    problem = None
    if beside and _is_apart(raw, stated, beside, hidden):
        input_tokens, hidden = input_tokens + beside, max(hidden - beside, 0)
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
        output_tokens = reasoning if "total" in stated else output_tokens + reasoning

    _require(cached or 0, input_tokens, "cached tokens", "prompt tokens")
    _require(beside, input_tokens, "cached and written tokens", "prompt tokens")
    _require(sum(modalities["input"].values()), input_tokens, "tokens by modality", "prompt tokens")
    _require(sum(modalities["output"].values()), output_tokens, "tokens by modality", "completion tokens")
    usage = Usage(input_tokens, output_tokens, cached, written, reasoning, tuple(_flattened(modalities)))
    return usage, problem


_CACHED = {"cached_tokens", "cache_read_tokens", "cache_read_input_tokens"}
_WRITTEN = {
    "cache_write_tokens",
    "cache_creation_tokens",
    "cached_creation_tokens",
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
}
_USAGE = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "input_tokens": "input",
    "output_tokens": "output",
    "total_tokens": "total",
    "reasoning_tokens": "reasoning",
    **dict.fromkeys({*_CACHED, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_input_tokens"}, "cached"),
    **dict.fromkeys(_WRITTEN, "written"),
}
"""What the names of a usage object count. Stated at several places it is one count, and a zero beside it a default."""

_PROMPT = {
    **dict.fromkeys(_CACHED, "cached"),
    **dict.fromkeys(_WRITTEN, "written"),
    "audio_tokens": "input audio",
    "image_tokens": "input image",
    "video_tokens": "input video",
}
_COMPLETION = {
    "reasoning_tokens": "reasoning",
    "audio_tokens": "output audio",
    "image_tokens": "output image",
    "video_tokens": "output video",
}
_DETAILS = (
    ("prompt_tokens_details", _PROMPT),
    ("completion_tokens_details", _COMPLETION),
    ("input_tokens_details", _PROMPT),
    ("output_tokens_details", _COMPLETION),
)
_MODALITIES = ("audio", "image", "video")


def _totals(raw: Mapping[str, object], stated: Mapping[str, int]) -> tuple[int, int, int]:
    """Prompt and completion tokens, and by how much the stated total exceeds them (negative: falls short)."""
    # Gateways state both pairs of names, and zero for the one that they do not use.
    prompt = stated.get("prompt") or stated.get("input", stated.get("prompt"))
    completion = stated.get("completion") or stated.get("output", stated.get("completion"))
    total = stated.get("total")
    if total is not None and prompt is not None and completion is None:
        completion = total - prompt
    elif total is not None and completion is not None and prompt is None:
        prompt = total - completion
    if prompt is None or completion is None:
        said = [shown(raw.get(name)) for name in ("prompt_tokens", "completion_tokens")]
        raise _Refused("prompt_tokens ({}) and completion_tokens ({}) are not both counted".format(*said))
    if prompt < 0 or completion < 0:
        _require(max(prompt, completion), total or 0, "one side's tokens", "total_tokens")
    if prompt == completion == 0:
        raise _Refused("prompt_tokens (0) and completion_tokens (0): no answer takes no tokens")
    return prompt, completion, 0 if total is None else total - prompt - completion


def _is_apart(raw: Mapping[str, object], stated: Mapping[str, int], beside: int, hidden: int) -> bool:
    """Whether cached and written tokens are not part of the input: the total says so, or Anthropic's own names do."""
    if hidden == beside:
        return True
    own = "cache_read_input_tokens" in raw or "cache_creation_input_tokens" in raw
    within = "total" in stated and hidden == 0 and beside <= stated.get("input", 0)
    return own and bool(stated.get("input")) and not stated.get("prompt") and not within


def _is_audio_input(raw: Mapping[str, object], modalities: Mapping[str, int], prompt: int) -> bool:
    """Where a total exceeds its parts, the rest is thinking, but for Mistral's audio, which `prompt_tokens` omits."""
    seconds = raw.get("prompt_audio_seconds")
    return (isinstance(seconds, int | float) and seconds > 0) or modalities.get("audio", 0) > prompt


def _modalities(stated: Mapping[str, int], side: str) -> dict[str, int]:
    return {modality: count for modality in _MODALITIES if (count := stated.get(f"{side} {modality}"))}


def _flattened(modalities: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[Literal["input", "output"], str, int]]:
    sides: tuple[Literal["input", "output"], ...] = ("input", "output")
    return ((side, modality, count) for side in sides for modality, count in modalities[side].items())


def _counts(place: object, names: Mapping[str, str], found: dict[str, int] | None = None) -> dict[str, int]:
    """Adds to `found` what an object counts under these names: it also holds seconds, flags, texts and objects."""
    found = {} if found is None else found
    if not isinstance(place, _OBJECT):
        return found
    for name, value in place.items():
        if name not in names:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:  # a bool is an int to isinstance
            continue
        if not 0 <= value <= MAX_TOKENS:
            raise _Refused(f"{name} ({shown(value)}) is not a count between 0 and {MAX_TOKENS}")
        kind = names[name]
        old = found.get(kind)
        if old and value:  # of two the dearer one
            value = min(old, value) if kind == "cached" else max(old, value)
        found[kind] = value or old or 0
    return found


def _require(part: int, whole: int, part_name: str, whole_name: str) -> None:
    if part > whole:
        raise _Refused(f"{part_name} ({part}) exceed {whole_name} ({whole})")
