"""An exception as telemetry names it: by its class, never by its text."""

from __future__ import annotations

import builtins
from asyncio import CancelledError

CANCELLED = "cancelled"


def qualified_name(error: BaseException) -> str:
    """An exception's class: `TimeoutError`, `openai.RateLimitError`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def error_type(error: BaseException) -> str:
    """What `error.type` says where no provider gave a code: `cancelled`, else the exception's class."""
    return CANCELLED if isinstance(error, CancelledError) else qualified_name(error)


def names_a_class(error_type: str) -> bool:
    """Whether an `error.type` is a class, as `qualified_name` writes it, and not a provider's code."""
    return hasattr(builtins, error_type) or ("." in error_type and error_type.rpartition(".")[2][:1].isupper())
