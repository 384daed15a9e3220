"""Text that names URLs, without the secrets that people put into them."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"""(://[^\s?"'<>]*)\?[^\s"'<>]*|\?[^\s"'<>]*=[^\s"'<>]*""")


def without_secrets(text: str) -> str:
    """`https://name:password@host/path?api-key=value` as `https://…@host/path?…`; so are queries without their host."""
    return _QUERY.sub(r"\1?…", _CREDENTIALS.sub("…@", text))
