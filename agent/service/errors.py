"""What a client is told when it gets no answer: the provider's error format, with the right status and a code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import orjson

from agent.types import Json

Headers: TypeAlias = Mapping[str, str]

NO_RETRY: Headers = {"x-should-retry": "false"}
"""Tells the official client libraries not to ask again by themselves: what failed was paid for."""


class ApiError(Exception):
    """An error of this API. `detail` goes into the error object beside the fields that every client knows."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Headers | None = None,
        detail: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers or {}
        self.detail = detail or {}

    def document(self) -> dict[str, Json]:
        """The error object as clients of the provider know it."""
        error: dict[str, Json] = {
            "message": self.message,
            "type": error_type(self.status),
            "param": self.param,
            "code": self.code,
        }
        return {"error": {**error, **self.detail}}

    def body(self) -> bytes:
        return orjson.dumps(self.document())


def error_type(status: int) -> str:
    """The provider's classes of errors."""
    if status == 429:
        return "rate_limit_error"
    if status == 402:
        return "insufficient_quota"
    if status >= 500:
        return "server_error"
    return "invalid_request_error"


def bad_request(message: str, param: str | None = None, code: str = "invalid_request") -> ApiError:
    return ApiError(400, code, message, param=param)


def unavailable(code: str, message: str, after: float) -> ApiError:
    """503; `after`: seconds until it makes sense to ask again."""
    return ApiError(503, code, message, headers=retry_after(after))


def retry_after(seconds: float) -> Headers:
    return {"retry-after": str(max(1, math.ceil(seconds)))}
