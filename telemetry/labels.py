"""Closed label sets: nothing from outside can add a time series."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import Final

OTHER: Final = "other"
"""What a model, tool, agent, prompt or budget is called that the configuration does not know."""

OTHER_ERROR: Final = "_OTHER"
"""What the conventions say for an error type, or a method of HTTP, outside of the closed set."""

_KINDS = {
    "timeout",
    "connection",
    "rate_limit",
    "server_error",
    "malformed",
    "auth",
    "bad_request",
    "context_overflow",
    "content_filter",
    "cancelled",
    "crashed",
    "expired",
    "handed_back",
    "deadline",
    "connect_timeout",
    "first_byte_timeout",
    "between_timeout",
    "not_json",
    "bad_event",
    "no_choices",
    "stream_truncated",
    "error_in_answer",
    "no_price",
    "tool_error",
    "unknown_tool",
    "invalid_arguments",
    "too_many",
    "repeated",
    "empty_reply",
    "client_disconnected",
}
_PROVIDER_CODES = {
    "rate_limit_exceeded",
    "insufficient_quota",
    "context_length_exceeded",
    "invalid_api_key",
    "invalid_request_error",
    "model_not_found",
    "server_error",
    "overloaded_error",
    "service_unavailable",
    "billing_hard_limit_reached",
    "content_policy_violation",
    "content_filter",
    "internal_error",
    "tool_use_failed",
    "exceeded_current_quota_error",
    "data_inspection_failed",
    "invalid_prompt",
    "string_above_max_length",
}
_OUTCOMES = {
    "answered",
    "refused_budget",
    "limit_steps",
    "limit_tools",
    "limit_time",
    "limit_tokens",
    "repeating",
    "context_full",
    "provider_failed",
    "content_filtered",
    "cancelled",
    "resumed_unknown",
}
_BUILTIN_ERRORS = {name for name, value in vars(builtins).items() if isinstance(value, type) and "Error" in name}
_SDK_ERRORS = {
    f"openai.{name}"
    for name in (
        "APIConnectionError",
        "APIError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ConflictError",
        "InternalServerError",
        "LengthFinishReasonError",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimitError",
        "UnprocessableEntityError",
    )
}
_ASYNC_ERRORS = {"asyncio.exceptions.CancelledError", "KeyboardInterrupt", "SystemExit", "GeneratorExit"}
_HTTP_ERRORS = {
    "ClientConnectorError",
    "ClientOSError",
    "ClientPayloadError",
    "ServerDisconnectedError",
}
_STATUSES = {
    f"{prefix}{status}"
    for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 529)
    for prefix in ("", "http_")
}

OUTCOMES: Final = frozenset(_OUTCOMES)
ERROR_TYPES: Final = frozenset(
    _KINDS | _PROVIDER_CODES | _OUTCOMES | _BUILTIN_ERRORS | _SDK_ERRORS | _HTTP_ERRORS | _ASYNC_ERRORS | _STATUSES
)
"""The error types that have a time series of their own; spans carry the exact one in any case."""


HTTP_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""What the conventions take for known: RFC 9110 and PATCH."""


@dataclass(frozen=True, slots=True)
class Known:
    """The names that the configuration knows. `models` are names on the wire, of requests and of answers;
    `prompts` are (name, version); `servers` are host names of model endpoints."""

    agents: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    prompts: frozenset[tuple[str, str]] = frozenset()
    budgets: frozenset[str] = frozenset()
    error_types: frozenset[str] = field(default=ERROR_TYPES)

    def error(self, error_type: str | None) -> str:
        """The label of an error type; empty where there was no error."""
        if error_type is None:
            return ""
        return error_type if error_type in self.error_types else OTHER_ERROR


def closed(name: str, known: frozenset[str]) -> str:
    return name if name in known else OTHER
