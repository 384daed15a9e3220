"""Which models an agent asks: those of its chain, or the stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.shapes import AgentConfig, ModelsFile


def chain(models: ModelsFile, agent: AgentConfig, env: Mapping[str, str]) -> tuple[str, ...]:
    """The models that an agent asks: the stand-in where the key of the first is not set."""
    first = models.models.get(agent.models[0])
    if models.stand_in and first and first.api_key_env and not env.get(first.api_key_env):
        return (models.stand_in,)
    return agent.models
