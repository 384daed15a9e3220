from __future__ import annotations

import pytest

from agent.config import FailureKind
from agent.models.protocol import CallFailed
from agent.models.routes import next_model
from tests.agent.models.raw_server import config

CHAIN = (config("http://a", fallback_on=("timeout", "auth")), config("http://b"), config("http://c"))


@pytest.mark.parametrize(
    ("index", "kind", "following"),
    [
        (0, "timeout", 1),
        (0, "auth", 1),
        (0, "server_error", None),
        (1, "server_error", 2),
        (1, "auth", None),
        (2, "server_error", None),
    ],
)
def test_the_failed_models_own_rule_decides(index: int, kind: FailureKind, following: int | None) -> None:
    assert next_model(CHAIN, index, CallFailed(kind, "x", "")) == following
    assert next_model(CHAIN, index, CallFailed(kind, "x", "", shown=True)) is None
