"""What an error says: kind, code, whether it may be billed. Pure, on the body of an error and its HTTP status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.config import FailureKind
from agent.models.assemble import states_usage
from agent.models.bodies import string
from agent.models.protocol import Arrived, Billed, CallFailed
from agent.types import Json, Reply

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_MESSAGE_LIMIT = 4000

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context_window_exceeded"
    r"|maximum (?:context|prompt|input) length|max(?:imum)? context|context (?:size|window|length) (?:of|is|was|has)"
    r"|exceeds? (?:the )?(?:available |model'?s? )?(?:context|maximum number of (?:input )?tokens)"
    r"|exceeds the (?:maximum )?(?:context|limit of \d+ tokens)|context size (?:has been )?exceeded"
    r"|prompt is too long|input is too long|prompt too long|too many (?:input )?tokens in|reduce the length of the"
    r"|input token count|longer than the model'?s? context",
)
"""Context overflow as OpenAI, Azure, vLLM, llama.cpp, Anthropic, Google, xAI, Mistral, Bedrock and Groq word it."""

_AFTER_GENERATION = frozenset({"tool_use_failed", "json_validate_failed", "output_parse_failed"})
"""Codes of a 4xx that is answered once the (billed) answer could not be used."""

_WORDS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    ("rate_limit", re.compile(r"rate_?limit|too_many_requests|quota|insufficient_credit|resource_?exhausted")),
    ("auth", re.compile(r"api_?key|auth|permission|forbidden")),
    (
        "bad_request",
        re.compile(r"invalid_?request|bad_?request|not_?found|unsupported|content_filter|invalid_?argument"),
    ),
    ("timeout", re.compile(r"time_?out")),
)
"""What the code says where no HTTP status does: an error inside an answer that began with 200."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What an error body says. `status` is its own integer code where that is an HTTP status."""

    code: str
    message: str
    status: int | None
    overflow: bool


def error_in(body: Mapping[str, Json]) -> Json:
    """The error inside a chunk or body that came with HTTP 200, its first choice's included; else a false value."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return body.get("error") or (first.get("error") if isinstance(first, dict) else None)


def refused(body: Json, status: int | None, arrived: Arrived, retry_after: float | None = None) -> CallFailed:
    """The failure that an error body tells of. `status`: of the HTTP answer, None for an error within a 200."""
    error = (error_in(body) or body) if isinstance(body, dict) else body
    for part in (body, error):
        if isinstance(part, dict) and states_usage(part):
            arrived.usage_body, arrived.usage_final = part, True
    said = stated(error)
    kind, error_type, billed = classify(said, status)
    if arrived.anything():
        billed = "maybe"
    known = said.status if status is None else status
    return CallFailed(kind, error_type, said.message, known, retry_after, billed, _partial(arrived), arrived.shown)


def broken(kind: FailureKind, error_type: str, message: str, arrived: Arrived, billed: Billed = "maybe") -> CallFailed:
    """A failure that nobody stated: the connection, the clock, an answer that is none."""
    limited = message[:_MESSAGE_LIMIT]
    return CallFailed(kind, error_type, limited, billed=billed, reply=_partial(arrived), shown=arrived.shown)


def _partial(arrived: Arrived) -> Reply | None:
    return arrived.reply() if arrived.anything() else None


def stated(error: Json) -> Stated:
    """Reads an error: an object with `message` or `detail`, or text."""
    if not isinstance(error, dict):
        return Stated("", str(error)[:_MESSAGE_LIMIT], None, _overflows(str(error)))
    message = string(error.get("message")) or _text(error.get("detail")) or _text(error)
    names = [string(error.get(key)).lower() for key in ("code", "type")]
    code = next((name for name in names if _IDENTIFIER.fullmatch(name)), "")
    return Stated(code, message[:_MESSAGE_LIMIT], _status(error), _overflows(" ".join([*names, message])))


def classify(said: Stated, status: int | None) -> tuple[FailureKind, str, Billed]:
    """Kind, `error_type` and whether it may be billed. `status`: of the HTTP answer, None for an error within a 200."""
    known = status if status is not None else said.status
    error_type = said.code or ("error_in_answer" if known is None else f"http_{known}")
    if said.code in _AFTER_GENERATION:
        return "malformed", error_type, "maybe"
    if said.overflow and known not in (401, 403, 429):
        return "context_overflow", error_type, "no"
    if known is None:
        return _kind_by_words(said.code), error_type, "maybe"
    return _kind_by_status(known), error_type, _billed(known)


def _kind_by_status(status: int) -> FailureKind:
    if status in (401, 403):
        return "auth"
    if status in (402, 429):
        return "rate_limit"
    if status in (408, 504):
        return "timeout"
    return "server_error" if status >= 500 or status in (409, 425) else "bad_request"


def _kind_by_words(code: str) -> FailureKind:
    return next((kind for kind, pattern in _WORDS if pattern.search(code)), "server_error")


def _billed(status: int) -> Billed:
    refused = status < 500 and status not in (408, 499)
    return "no" if refused or status in (503, 529) else "maybe"


def _overflows(text: str) -> bool:
    return _OVERFLOW.search(text.lower()) is not None


def _status(error: Mapping[str, Json]) -> int | None:
    for key in ("code", "status", "status_code"):
        value = error.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
