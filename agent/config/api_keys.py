"""The key of a model's provider, from the environment."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.shapes import ModelConfig

UNUSABLE = "holds a line break or another character that a key has not"
USABLE = "printable ASCII"


def api_key(model: ModelConfig, env: Mapping[str, str]) -> str | None:
    """None for a model that needs none, "" where it is not set. Read from a file, a key often ends in a line break."""
    return env.get(model.api_key_env, "").strip() if model.api_key_env else None


def is_usable(key: str) -> bool:
    """Whether a header can hold it."""
    return key.isascii() and key.isprintable()
