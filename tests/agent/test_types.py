"""What two folders have to say alike, because one of them may not import the other."""

from __future__ import annotations

from typing import get_args

from agent.types import Outcome
from telemetry.labels import OUTCOMES


def test_every_outcome_is_a_label() -> None:
    """One that telemetry does not know would be counted as `other`."""
    assert set(get_args(Outcome)) == OUTCOMES
