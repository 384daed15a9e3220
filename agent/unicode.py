"""Text that every store, provider and encoder takes."""

from __future__ import annotations


def storable(text: str) -> str:
    """`text` without NUL and without halves of surrogate pairs."""
    return whole(without_nul(text))


def whole(text: str) -> str:
    """`text` with its surrogate pairs joined and each lone surrogate, which has no UTF-8, replaced by U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def without_nul(text: str) -> str:
    """`text` without the NUL that no PostgreSQL stores."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
