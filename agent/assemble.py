"""From configuration to agents that are ready to run: models with their prices, tools, rendered prompts."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from agent.config import AgentConfig, ModelConfig
from agent.config.base_urls import effective_base_url
from agent.config.load import Config
from agent.models.openai_chat import OpenAIChat
from agent.money.account import EVERYTHING, NANO, Limit
from agent.money.tariff import tariff
from agent.prompts.templates import render
from agent.runtime import Agent, Services, Target
from agent.tools.registry import Registry, load_tools
from telemetry.labels import Known
from telemetry.price_book import PriceBook


def limits(config: Config) -> tuple[Limit, ...]:
    """The lines that every hold of this process has, beside the one of its turn."""
    configured = tuple(
        Limit(EVERYTHING, "", name, int(budget.limit_usd * NANO)) for name, budget in config.budgets.budgets.items()
    )
    return configured or (Limit(EVERYTHING, "", "everything", None),)


def chain(config: Config, agent: AgentConfig, env: Mapping[str, str]) -> tuple[str, ...]:
    """The models that an agent asks: the stand-in where the key of the first is not set."""
    first = config.models.models[agent.models[0]]
    if config.models.stand_in and first.api_key_env and not env.get(first.api_key_env):
        return (config.models.stand_in,)
    return agent.models


async def offline(config: Config, env: Mapping[str, str], stack: contextlib.AsyncExitStack, pace: float) -> str | None:
    """Starts the stand-in on loopback where an agent needs it and no port is configured for it; where it listens."""
    name = config.models.stand_in
    asked = {model for agent in config.agents.agents.values() for model in chain(config, agent, env)}
    if name not in asked or urlsplit(config.models.models[name].base_url).port != 0:
        return None
    from agent.offline.server import OfflineModel, Pace

    server = await stack.enter_async_context(OfflineModel(pace=Pace(chunk=pace)))
    return server.base_url


def targets(config: Config, env: Mapping[str, str], offline_url: str | None) -> dict[str, Target]:
    """The models that agents ask, by name. `offline_url`: where the stand-in listens. Raises `PricingError`."""
    names = {name for agent in config.agents.agents.values() for name in chain(config, agent, env)}
    models = {name: config.models.models[name] for name in names}
    book = PriceBook.load() if any(model.price for model in models.values()) else None
    return {name: _target(name, model, env, offline_url, book) for name, model in models.items()}


def _target(
    name: str, model: ModelConfig, env: Mapping[str, str], offline_url: str | None, book: PriceBook | None
) -> Target:
    url = offline_url if offline_url and model.provider == "offline" else effective_base_url(model, env)
    key = env.get(model.api_key_env, "") if model.api_key_env else ""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(name, OpenAIChat(model, key or None, url), tariff(model, book), parts.hostname or "", port)


def tools(config: Config) -> dict[str, Registry]:
    """The tools of each agent. Raises `ToolModuleError`."""
    return {name: load_tools(agent.tools, config.folder) for name, agent in config.agents.agents.items()}


def agents(
    config: Config,
    services: Services,
    available: Mapping[str, Target],
    registries: Mapping[str, Registry],
    env: Mapping[str, str],
) -> dict[str, Agent]:
    """Every agent, with the text of each version of its prompt. Raises `PromptError`."""
    made = {}
    for name, agent in config.agents.agents.items():
        texts = {version.digest: render(version, agent.variables) for version in config.prompts[agent.prompt]}
        targets = tuple(available[model] for model in chain(config, agent, env))
        made[name] = Agent(name, targets, registries[name], texts, agent.variables, agent.bounds, services)
    return made


def known(config: Config, registries: Iterable[Registry], env: Mapping[str, str]) -> Known:
    """The closed label sets of the metrics."""
    models = config.models.models.values()
    hosts = (urlsplit(effective_base_url(model, env)).hostname for model in models)
    prompts = {(v.name, str(v.version)) for versions in config.prompts.values() for v in versions}
    return dataclasses.replace(
        Known(),
        agents=frozenset(config.agents.agents),
        providers=frozenset(model.provider for model in models),
        models=frozenset(name for model in models for name in (model.model, *model.response_names)),
        servers=frozenset(host for host in hosts if host) | {"127.0.0.1"},
        tools=frozenset(tool for registry in registries for tool in registry.tools),
        prompts=frozenset(prompts),
        budgets=frozenset(config.budgets.budgets) | {"turn", "everything"},
    )
