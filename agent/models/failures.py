"""What an error says: kind, code, whether it may be billed. Pure, on the body of an error and its HTTP status."""

from __future__ import annotations

from agent.config import FailureKind
from agent.models import error_words as words
from agent.models.error_bodies import Stated, error_in, stated
from agent.models.protocol import Arrived, Billed, CallFailed
from agent.models.usage_parts import usage_in
from agent.types import Json, Reply
from telemetry.usage import read_usage

_MESSAGE_LIMIT = 4000

_AFTER_GENERATION = frozenset({"tool_use_failed", "json_validate_failed", "output_parse_failed"})
"""Codes of a 4xx that is answered once the (billed) answer could not be used."""

_SAME_AGAIN = frozenset({"length", "content_filter"})
"""Why a reply may be empty: asked again, the same model would end in the same way."""


def refused(body: Json, status: int | None, arrived: Arrived, retry_after: float | None = None) -> CallFailed:
    """The failure that an error body tells of. `status`: of the HTTP answer, None for an error within a 200."""
    error = (error_in(body) or body) if isinstance(body, dict) else body
    for part in (body, error):
        if isinstance(part, dict) and (usage := usage_in(part)):
            arrived.count(usage)
            told = read_usage({"usage": usage})
            arrived.usage_final |= told.usage is not None or told.stated_usd is not None
    said = stated(body)
    kind, error_type, billed = classify(said, status)
    if arrived.anything():
        billed = "maybe"
    known = said.status if status is None else status
    return CallFailed(kind, error_type, said.message, known, retry_after, billed, _partial(arrived), arrived.shown)


def broken(kind: FailureKind, error_type: str, message: str, arrived: Arrived, billed: Billed = "maybe") -> CallFailed:
    """A failure that nobody stated: the connection, the clock, an answer that is none."""
    limited = message[:_MESSAGE_LIMIT]
    return CallFailed(kind, error_type, limited, billed=billed, reply=_partial(arrived), shown=arrived.shown)


def usable(reply: Reply) -> Reply:
    """A finished reply. Raises CallFailed for an empty one, which is billed all the same, unless its finish reason says
    why it is."""
    if reply.message.content or reply.message.tool_calls or _SAME_AGAIN.intersection(reply.finish_reasons):
        return reply
    message = "The reply has neither text nor a tool call."
    raise CallFailed("malformed", "empty_reply", message, reply=reply)


def _partial(arrived: Arrived) -> Reply | None:
    return arrived.reply() if arrived.anything() else None


def classify(said: Stated, status: int | None) -> tuple[FailureKind, str, Billed]:
    """Kind, `error_type` and whether it may be billed. `status`: of the HTTP answer, None for an error within a 200."""
    known = status if status is not None else said.status
    error_type = said.code or ("error_in_answer" if known is None else f"http_{known}")
    billed: Billed = "maybe" if known is None else _billed(known)
    if said.code in _AFTER_GENERATION:
        return "malformed", error_type, "maybe"
    if no_credit := _no_credit(said):
        return "rate_limit", no_credit, billed
    if _is_filtered(said, known):
        return "bad_request", "content_filter", billed
    if _overflows(said, known):
        return "context_overflow", error_type, "no"
    return _kind(said, known), error_type, billed


def _no_credit(said: Stated) -> str | None:
    """The code that says that the account is empty, where one does; `insufficient_quota` where only words do."""
    code = next((name for name in said.codes if words.NO_CREDIT_CODE.search(name)), None)
    if code is None and not words.NO_CREDIT_CODE.search(said.identifiers):
        empty = words.NO_CREDIT.search(said.text) and not words.PASSES.search(said.text)
        return "insufficient_quota" if empty else None
    return code or "insufficient_quota"


def _is_filtered(said: Stated, known: int | None) -> bool:
    if known in (401, 429) or (known is not None and known >= 500 and not words.FILTERED_CODE.search(said.identifiers)):
        return False
    return bool(words.FILTERED_CODE.search(said.identifiers) or words.FILTERED.search(said.text))


def _overflows(said: Stated, known: int | None) -> bool:
    """A 413 is one whatever it says, but for Groq's, which is a limit of tokens per minute."""
    if known in (401, 403, 429) or words.RATE.search(said.identifiers):
        return False
    return known == 413 or words.OVERFLOW.search(said.text) is not None


def _kind(said: Stated, known: int | None) -> FailureKind:
    if known is None:
        return _kind_by_words(said)
    kind = _kind_by_status(known)
    if kind in ("bad_request", "auth") and words.RATE.search(said.identifiers):
        return "rate_limit"
    return "auth" if kind == "bad_request" and words.WRONG_KEY.search(said.text) else kind


def _kind_by_status(status: int) -> FailureKind:
    if status in (401, 403):
        return "auth"
    if status in (402, 429, 498):  # Groq's: its flexible capacity is used up
        return "rate_limit"
    if status in (408, 504):
        return "timeout"
    return "server_error" if status >= 500 or status in (409, 424, 425) else "bad_request"


def _kind_by_words(said: Stated) -> FailureKind:
    """What the codes say where no HTTP status does: an error inside an answer that began with 200."""
    kinds: tuple[FailureKind, ...] = ("rate_limit", "auth", "bad_request", "timeout")
    patterns = (words.RATE, words.AUTH, words.BAD_REQUEST, words.TIMEOUT)
    found = (kind for kind, pattern in zip(kinds, patterns, strict=True) if pattern.search(said.identifiers))
    return next(found, "server_error")


def _billed(status: int) -> Billed:
    refused = status < 500 and status not in (408, 424, 499)
    return "no" if refused or status in (503, 529) else "maybe"
