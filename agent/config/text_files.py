"""Text that operators wrote, read defensively: regular files only, at most 1 MiB, UTF-8, printable."""

from __future__ import annotations

import re
from pathlib import Path

from agent.config.problems import ConfigError, Problem

MAX_BYTES = 1_048_576
# The characters of YAML 1.1, section 5.1, which is also what every store and provider takes.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ConfigError for one that is missing, unreadable, too large or not a regular file."""
    try:
        if not path.is_file():
            raise _error(path, "something else" if path.exists() else "no such file", "a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error(path, error.strerror or type(error).__name__, "a readable file") from error
    if len(content) > MAX_BYTES:
        raise _error(path, f"more than {MAX_BYTES} bytes", "a file of at most 1 MiB")
    return content


def decode(path: Path, content: bytes) -> str:
    """`content` as text, without a byte order mark. Raises ConfigError with the place of what is not UTF-8 text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, f"byte 0x{content[error.start]:02x}", "text in UTF-8", line) from error
    if match := _UNPRINTABLE.search(text):
        line, column = place(text, match.start())
        raise _error(path, f"the control character U+{ord(match.group()):04X}", "printable text", line, column)
    return text


def place(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of the character at `index`."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _error(path: Path, found: str, expected: str, line: int | None = None, column: int | None = None) -> ConfigError:
    return ConfigError((Problem(str(path), line, column, "", found, expected),))
