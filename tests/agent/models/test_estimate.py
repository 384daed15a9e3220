"""Counting ends with a number, whatever the text."""

from __future__ import annotations

import pytest

from agent.models.estimate import count


@pytest.mark.parametrize("text", [" " * 1_000_000, "\n" * 1_000_000, "a" * 1_000_000, "\U0001f600" * 250_000])
def test_a_long_run_of_one_character(text: str) -> None:
    assert 1000 < count(text) <= len(text.encode())


def test_nothing() -> None:
    assert count("") == 0
