"""Why a turn did not begin, or is not known to have ended, as what a client is told."""

from __future__ import annotations

import logging

from agent.journal import TakenOver
from agent.opening import CallerError, ConversationBusy, NoSuchConversation, PromptChanged, TooFast, TooMany
from agent.service.errors import NO_RETRY, ApiError, retry_after, unavailable
from agent.store.errors import StoreError

log = logging.getLogger(__name__)

_AGAIN = 2.0
"""Seconds until another worker is there, or the store is."""


def told(error: BaseException) -> ApiError:
    """An error of the app's for a client. What only a developer can put right is logged and says nothing."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, CallerError):
        return _of_caller(error)
    if isinstance(error, StoreError):
        log.warning("a turn could not begin or go on: %s", error)
        return unavailable("store_unavailable", "The store can't be used at the moment; try again.", _AGAIN)
    if isinstance(error, TakenOver):
        return handed_back()
    log.error("a request failed", exc_info=error)
    return ApiError(500, "internal_error", "This should not have happened; it was logged.", headers=NO_RETRY)


def _of_caller(error: CallerError) -> ApiError:
    if isinstance(error, TooFast):
        return ApiError(429, "rate_limit_exceeded", str(error), headers=retry_after(error.retry_after))
    if isinstance(error, TooMany):
        return ApiError(429, "concurrency_limit_exceeded", str(error), headers=retry_after(1))
    if isinstance(error, ConversationBusy):
        return ApiError(409, "conversation_busy", str(error), headers=retry_after(1))
    if isinstance(error, NoSuchConversation):
        return ApiError(404, "conversation_not_found", str(error))
    if isinstance(error, PromptChanged):
        return ApiError(409, "prompt_changed", str(error), headers=NO_RETRY)
    return ApiError(400, "invalid_request", str(error))


def draining() -> ApiError:
    """Whoever asks again on the same connection would come to the same process."""
    error = unavailable("draining", "This process is ending and begins no more turns; try again.", _AGAIN)
    error.headers = {**error.headers, "connection": "close"}
    return error


def handed_back() -> ApiError:
    return unavailable(
        "draining",
        "This process is ending; another one goes on with the turn. With an Idempotency-Key, the same request again "
        "waits for its answer.",
        _AGAIN,
    )


def still_open() -> ApiError:
    return unavailable(
        "turn_waiting",
        "The turn of this Idempotency-Key has not ended yet; the same request again waits for it.",
        _AGAIN,
    )
