"""The README's code, taken out of it to be run."""

from __future__ import annotations

import re

from tests.support.processes import ROOT

README = ROOT / "README.md"


def block(heading: str, language: str) -> str:
    """The only code block in `language` ("" for none) under a heading of the second level."""
    _, found, section = README.read_text().partition(f"\n## {heading}\n")
    assert found, f"there is no heading {heading!r}"
    section = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (code,) = (code for written, code in blocks if written == language)
    return str(code)
