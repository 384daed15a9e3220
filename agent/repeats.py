"""Repeated tool calls and cycles of them: a pure function of what the turn's model has asked for so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from agent.types import ToolCall

WINDOW = 8
"""How many calls are looked at, the one in question included."""

_WARNINGS = 2
_CYCLES = (2, 3)


@dataclass(frozen=True, slots=True)
class Past:
    """A call of the turn, whether it ran, was refused, was invalid or named no tool.

    `asked` is the call, `reply` the number of the model's reply that asked for it. `content` is what the
    model was told: for a warned call the warning, None while it has no answer.
    """

    asked: ToolCall
    reply: int
    content: str | None = None
    warned: bool = False

    @property
    def call(self) -> str:
        return canonical(self.asked)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`run`: go on. `same`, `cycle`: don't run it, the model gets `content`. `ended`: end the turn as `repeating`."""

    kind: Literal["run", "same", "cycle", "ended"]
    content: str = ""


_RUN = Verdict("run")


@lru_cache(256)  # of the calls in the window it is asked again with every reply
def canonical(call: ToolCall) -> str:
    """The same text for the same call: keys sorted, white space and escapes gone, no arguments as `{}`.

    Of a key that is there twice the last counts, as it does for `Tool.validate`. What is no JSON stays as it is.
    """
    text = call.arguments.strip()
    try:
        return _compact([call.name, json.loads("{}" if text in ("", "null") else text)])
    except (ValueError, RecursionError):
        return _compact([call.name, "not JSON", text])


_compact = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def judge(earlier: Sequence[Past], call: ToolCall, reply: int) -> Verdict:
    """What to do with a call of reply number `reply`, after the turn's `earlier` calls, those of this reply included.

    The third of the same call within the window is `same`, the call that completes a cycle of two or three calls for
    the second time in a row is `cycle`. Replies with warnings are counted, not warned calls: the model must have
    read both warnings before its next repetition is `ended`.
    """
    name = canonical(call)
    recent = [*(past.call for past in earlier[-(WINDOW - 1) :]), name]
    kind: Literal["same", "cycle"]
    if recent.count(name) >= 3:
        kind = "same"
    elif any(recent[-2 * length :] == recent[-length:] * 2 for length in _CYCLES):
        kind = "cycle"
    else:
        return _RUN
    read = {past.reply for past in earlier if past.warned and past.reply < reply}
    if len(read) >= _WARNINGS:
        return Verdict("ended")
    return Verdict(kind, _warning(kind, call, _result(earlier, name)))


def _result(earlier: Sequence[Past], name: str) -> str | None:
    answers = (past.content for past in reversed(earlier) if past.call == name and not past.warned)
    return next((content for content in answers if content is not None), None)


def _warning(kind: Literal["same", "cycle"], call: ToolCall, result: str | None) -> str:
    name = repr(call.name[:64])
    did = {
        "same": f"You already called {name} with these arguments, so it was not run again.",
        "cycle": f"You are going in a circle: you repeat the same calls, so {name} was not run again.",
    }[kind]
    got = "Its result is with your other calls." if result is None else f"Here is the result you got:\n{result}\n"
    return f"{did} {got}\nDo something else, or answer with what you know."
