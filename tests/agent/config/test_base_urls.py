from __future__ import annotations

import pytest

from agent.config import ConfigError, ModelConfig
from agent.config.base_urls import base_url_defect, effective_base_url


def model(key: str | None) -> ModelConfig:
    return ModelConfig(
        provider="openai",
        model="m",
        base_url="https://a.example/v1",
        api_key_env=key,
        context_window=1000,
        output_cap=10,
    )


@pytest.mark.parametrize(
    ("key", "env", "expected"),
    [
        ("OPENAI_API_KEY", {}, "https://a.example/v1"),
        ("OPENAI_API_KEY", {"OPENAI_BASE_URL": ""}, "https://a.example/v1"),
        ("OPENAI_API_KEY", {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}, "http://127.0.0.1:8000/v1"),
        ("OTHER_API_KEY", {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}, "https://a.example/v1"),
        (None, {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}, "https://a.example/v1"),
    ],
)
def test_the_variable_moves_the_models_of_its_key_only(key: str | None, env: dict[str, str], expected: str) -> None:
    assert effective_base_url(model(key), env) == expected


def test_the_variable_is_held_to_the_same_rules() -> None:
    with pytest.raises(ConfigError, match=r"^environment: OPENAI_BASE_URL: found .*, expected https"):
        effective_base_url(model("OPENAI_API_KEY"), {"OPENAI_BASE_URL": "http://models.example/v1"})


@pytest.mark.parametrize(
    ("url", "with_key", "accepted"),
    [
        ("https://models.example/v1", True, True),
        ("http://localhost:11434/v1", True, True),
        ("http://127.8.8.8/v1", True, True),
        ("http://[::1]:8000/v1", True, True),
        ("http://models.example/v1", True, False),
        ("http://models.example/v1", False, True),
        ("http://localhost.models.example/v1", True, False),
        ("http://127.0.0.1@models.example/v1", False, False),
        ("https://user:pass@models.example/v1", False, False),
        ("https://models.example/v1?key=1", False, False),
        ("https://models.example:port/v1", False, False),
        ("https://[::1", False, False),
        ("https://", False, False),
        ("https://models .example", False, False),
        ("models.example/v1", False, False),
        ("", False, False),
    ],
)
def test_plain_http_is_for_loopback_or_for_models_without_a_key(url: str, with_key: bool, accepted: bool) -> None:
    assert (base_url_defect(url, with_key) is None) is accepted
