from __future__ import annotations

import inspect

import pytest

from agent.tools.docstring import described


@pytest.mark.parametrize(
    ("doc", "summary", "parameters"),
    [
        (None, "", {}),
        ("One line.", "One line.", {}),
        ("One.\n\nArgs:\n    a: First.\n    b (int): Second:\n        goes on.\n", "One.", {
            "a": "First.", "b": "Second: goes on."}),
        ("One.\n\nArguments:\n  a:\n    On its own line.", "One.", {"a": "On its own line."}),
        ("One.\n\nArgs:\n    a: First.\n\n    b: After a gap.\nReturns:\n    c: no.", "One.\n\nReturns:\n    c: no.", {
            "a": "First.", "b": "After a gap."}),
        ("One.\nArgs: not a section\n", "One.\nArgs: not a section", {}),
        ("One.\n\nArgs:\n    a: Such as\n        b: c.", "One.", {"a": "Such as b: c."}),
    ],
)  # fmt: skip
def test_described(doc: str | None, summary: str, parameters: dict[str, str]) -> None:
    found = described(doc if doc is None else inspect.cleandoc(doc))
    assert (found.summary, found.parameters) == (summary, parameters)
