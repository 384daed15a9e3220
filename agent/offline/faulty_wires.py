"""Faults on the wire: statuses, waits, cuts, and bytes that are no answer. Each makes another wire of a good one.

`after` counts the pieces that are sent before: events of a stream, or at most the first half of a body.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from agent.offline.protocol import Argument, error, event, usage
from agent.offline.request import Asked
from agent.offline.wire import Stop, Wire, of_body, of_bytes

_ERROR = error("The server had an error.", "server_error", "internal_error")
_KINDS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid value for 'temperature'.", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to use this model.", "invalid_request_error", "model_not_allowed"),
    404: ("The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"),
    408: ("Request timed out.", "server_error", "timeout"),
    409: ("The resource is being changed by another request.", "invalid_request_error", "conflict"),
    413: ("The request is too large.", "invalid_request_error", "request_too_large"),
    422: ("The request could not be processed.", "invalid_request_error", None),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    529: ("Overloaded.", "overloaded_error", None),
}
_OVERFLOWS: tuple[tuple[int, dict[str, object]], ...] = (
    (
        400,
        error(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
    ),
    (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "request (9000 tokens) exceeds the available context size (8192 tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 8192,
            }
        },
    ),
    (413, error("Please reduce the length of the messages or completion.", "invalid_request_error", None)),
)


def status(_: Asked, __: Wire, code: Argument) -> Wire:
    """An error of this status in OpenAI's format. `Retry-After` and `retry-after-ms` are headers of the fault."""
    message, kind, named = _KINDS.get(int(code), ("The server had an error.", "server_error", None))
    return of_body(error(message, kind, named), int(code))


def quota(_: Asked, __: Wire, ___: Argument) -> Wire:
    """A 429 that no waiting helps: `insufficient_quota`."""
    return of_body(error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"), 429)


def context_overflow(_: Asked, __: Wire, form: Argument) -> Wire:
    """The context window is exceeded, in one of four servers' forms (1 to 4)."""
    code, body = _OVERFLOWS[(int(form) - 1) % len(_OVERFLOWS)]
    return of_body(body, code)


def tool_use_failed(_: Asked, __: Wire, ___: Argument) -> Wire:
    """A 400 after the model has generated (and the provider has charged): its call did not parse."""
    body = error("Failed to call a function.", "invalid_request_error", "tool_use_failed")
    body["error"]["failed_generation"] = "<function=search_kb>{query: wifi}"
    return of_body(body, 400)


def slow(_: Asked, wire: Wire, seconds: Argument) -> Wire:
    """Nothing at all, not even headers, for so many seconds; then the answer."""
    return replace(wire, wait_first=float(seconds))


def slow_chunks(_: Asked, wire: Wire, seconds: Argument) -> Wire:
    """Headers at once, and before each piece so many seconds."""
    return replace(wire, wait_each=float(seconds))


def stall(_: Asked, wire: Wire, after: Argument) -> Wire:
    """Silence in the middle, until the client leaves."""
    return replace(wire, stop=Stop("stall", _before_end(wire, after)))


def cut(_: Asked, wire: Wire, after: Argument) -> Wire:
    """The connection is closed in the middle."""
    return replace(wire, stop=Stop("cut", _before_end(wire, after)))


def reset(_: Asked, wire: Wire, __: Argument) -> Wire:
    """The connection is reset before any header."""
    return replace(wire, stop=Stop("reset", None))


def gate(_: Asked, wire: Wire, name: Argument) -> Wire:
    """Waits at the gate NAME before the headers; NAME@n waits after n pieces."""
    named, _at, after = str(name).partition("@")
    return replace(wire, stop=Stop("gate", int(after) if after else None, named))


def malformed(_: Asked, wire: Wire, after: Argument) -> Wire:
    """An event that is no JSON in the middle of a stream; a body that ends in the middle of its JSON."""
    position = _before_end(wire, after)
    if not wire.stream:
        return replace(wire, pieces=wire.pieces[:1])
    return replace(wire, pieces=(*wire.pieces[:position], b'data: {"id": "chatcmpl-\n\n', *wire.pieces[position:]))


def html(_: Asked, __: Wire, ___: Argument) -> Wire:
    """A page of some proxy, with status 200."""
    return of_bytes(b"<!doctype html><title>Sign in</title><h1>Sign in to the network</h1>", content_type="text/html")


def content_type(_: Asked, wire: Wire, name: Argument) -> Wire:
    """The right bytes under the wrong content type."""
    return replace(wire, content_type=str(name))


def error_200(_: Asked, __: Wire, ___: Argument) -> Wire:
    """Status 200 and `application/json`, streamed or not, and nothing but an error."""
    return of_body(_ERROR)


def error_chunk(_: Asked, wire: Wire, after: Argument) -> Wire:
    """A chunk with `error` in the middle, and nothing after it."""
    return _broken_off(wire, after, event(_ERROR))


def error_chunk_usage(asked: Asked, wire: Wire, after: Argument) -> Wire:
    """A chunk with `error` and with `usage`: what was generated is paid."""
    counted = usage(asked.input_tokens, int(after), asked.cached_tokens)
    return _broken_off(wire, after, event({**_ERROR, "usage": counted}))


def error_event(_: Asked, wire: Wire, after: Argument) -> Wire:
    """An SSE event named `error` in the middle, and nothing after it."""
    return _broken_off(wire, after, b"event: error\n" + event(_ERROR))


def error_field(_: Asked, wire: Wire, after: Argument) -> Wire:
    """An SSE *field* named `error`, which parsers pass over, and nothing after it."""
    return _broken_off(wire, after, b"error: " + orjson.dumps(_ERROR) + b"\n\n")


def truncated(asked: Asked, wire: Wire, _: Argument) -> Wire:
    """Streamed only: a stream that ends in order, but without finish_reason, usage and [DONE]."""
    return replace(wire, pieces=wire.pieces[: -3 if asked.include_usage else -2]) if wire.stream else wire


def no_done(_: Asked, wire: Wire, __: Argument) -> Wire:
    """Streamed only: everything but the last event, [DONE]."""
    return replace(wire, pieces=wire.pieces[:-1]) if wire.stream else wire


def _broken_off(wire: Wire, after: Argument, last: bytes) -> Wire:
    return replace(wire, pieces=(*wire.pieces[: _before_end(wire, after)], last))


def _before_end(wire: Wire, after: Argument) -> int:
    return max(0, min(int(after), len(wire.pieces) - 1))
