"""Faults in usage, finish reasons, names and sizes: well sent, and nonsense. Each edits a reply in place."""

from __future__ import annotations

from agent.offline.protocol import Argument, Body, usage
from agent.offline.request import Asked

_MEGABYTE = 1_000_000


def no_usage(_: Asked, body: Body, __: Argument) -> None:
    """No `usage`, in a stream that asked for it too."""
    del body["usage"]


def usage_above_cap(asked: Asked, body: Body, excess: Argument) -> None:
    """Output tokens above the cap that was asked (above what was said, where none was) by the argument."""
    said = body["usage"]["completion_tokens"]
    body["usage"] = usage(asked.input_tokens, (asked.cap or said) + int(excess), asked.cached_tokens)


def cached_above_prompt(_: Asked, body: Body, excess: Argument) -> None:
    """More cached input tokens than input tokens, by the argument."""
    stated = body["usage"]
    stated["prompt_tokens_details"]["cached_tokens"] = stated["prompt_tokens"] + int(excess)


def hidden_tokens(_: Asked, body: Body, hidden: Argument) -> None:
    """A total above input plus output, by the argument: thinking that is billed and not counted as output."""
    body["usage"]["total_tokens"] += int(hidden)


def garbled_usage(_: Asked, body: Body, __: Argument) -> None:
    """Counts as text, fractions, booleans, null and objects."""
    counts = {"prompt_tokens": "12", "completion_tokens": 3.5, "total_tokens": True, "prompt_tokens_details": None}
    body["usage"] = {**counts, "completion_tokens_details": {"reasoning_tokens": {"text": 1}}}


def stated_cost(_: Asked, body: Body, usd: Argument) -> None:
    """`usage.cost` is a number: the argument, in USD."""
    body["usage"]["cost"] = usd


def stated_cost_object(_: Asked, body: Body, usd: Argument) -> None:
    """`usage.cost` is an object whose `total_cost` is the argument, in USD."""
    body["usage"]["cost"] = {"input_tokens_cost": 0.0, "request_cost": usd, "total_cost": usd}


def other_model(_: Asked, body: Body, name: Argument) -> None:
    """The reply says that the model named by the argument answered."""
    body["model"] = name


def service_tier(_: Asked, body: Body, tier: Argument) -> None:
    """The reply says that it was served at the tier named by the argument."""
    body["service_tier"] = tier


def finish(_: Asked, body: Body, reason: Argument) -> None:
    """`finish_reason` is the argument, whatever was said."""
    body["choices"][0]["finish_reason"] = reason


def content_filter(_: Asked, body: Body, __: Argument) -> None:
    """The provider's filter ends the reply: no text, `finish_reason` `content_filter`."""
    _say(body, "", "content_filter")


def reasoning_only(asked: Asked, body: Body, output: Argument) -> None:
    """Paid without an answer: empty text, all output tokens (the cap, else the argument) reasoning, `length`."""
    _say(body, "", "length")
    spent = asked.cap or int(output)
    body["usage"] = usage(asked.input_tokens, spent, asked.cached_tokens, reasoning=spent)


def oversized(asked: Asked, body: Body, megabytes: Argument) -> None:
    """A text of as many megabytes as the argument says; `usage` counts all of it."""
    text = "all work and no play " * (int(float(megabytes) * _MEGABYTE) // 21 + 1)
    _say(body, text, "stop")
    body["usage"] = usage(asked.input_tokens, len(text) // 4, asked.cached_tokens)


def no_choices(_: Asked, body: Body, __: Argument) -> None:
    """`choices` is empty all the way: nothing was said, and it is paid for."""
    body["choices"] = []


def empty_choices(frames: list[Body], _: Argument) -> None:
    """Streamed only: a first chunk with `choices: []` and model '', and another in the middle."""
    empty = {**frames[0], "choices": [], "usage": None}
    frames.insert(len(frames) // 2, empty)
    frames.insert(0, {**empty, "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]})


def cumulative_usage(frames: list[Body], _: Argument) -> None:
    """Streamed only: every chunk carries the usage so far; adding them up multiplies it."""
    stated = frames[-1].get("usage")
    if stated:
        for number, frame in enumerate(frames[:-1]):
            output = stated["completion_tokens"] * number // len(frames)
            frame["usage"] = usage(stated["prompt_tokens"], output)


def _say(body: Body, text: str, reason: str) -> None:
    body["choices"][0].update(message={"role": "assistant", "content": text, "refusal": None}, finish_reason=reason)
