"""Counts tokens where a provider did not: what an aborted stream had produced, whether a conversation still fits.

tiktoken downloads an encoding it doesn't have, without a time-out, so it is asked only for one that is in its cache.
Without it, bytes say how many they are at most, and about.
"""

from __future__ import annotations

import functools
import os
import tempfile
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

NAME = "o200k_base"
_PIECE = 10_000
"""Characters that are encoded at once: a long run of white space overflows tiktoken's stack, and the time for a long
word grows with its square."""

_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
"""tiktoken names a cached file by the SHA-1 of the address it came from."""


def count(text: str) -> int:
    """Tokens of `text` in o200k_base, or its bytes. The first call takes half a second where the encoding is there."""
    encoding = _encoding()
    if encoding is None:
        return len(text.encode(errors="replace"))
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return sum(len(encoding.encode_ordinary(piece)) for piece in pieces)


_BYTES_A_TOKEN = 4
"""Of English prose and JSON."""


def about(text: str) -> int:
    """As `count`, but rather too few than too many where the encoding is missing: for what a provider counts itself and
    refuses at no cost."""
    return count(text) // _BYTES_A_TOKEN if _encoding() is None else count(text)


@functools.cache
def _encoding() -> Encoding | None:
    file = _cache() / sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()
    try:
        whole = sha256(file.read_bytes()).hexdigest() == _SHA256
    except OSError:
        return None
    if not whole:
        return None  # tiktoken would delete it and download another
    import tiktoken

    return tiktoken.get_encoding(NAME)


def _cache() -> Path:
    # The order in which tiktoken itself looks (tiktoken/load.py).
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "data-gym-cache"
