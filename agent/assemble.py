"""From configuration to agents that are ready to run: models with their prices, tools, rendered prompts."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from agent.config import ConfigError, ModelConfig, Problem, api_keys
from agent.config.base_urls import effective_base_url
from agent.config.chains import chain
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


async def offline(config: Config, env: Mapping[str, str], stack: contextlib.AsyncExitStack, pace: float) -> str | None:
    """Starts the stand-in on loopback where an agent needs it and no port is configured for it; where it listens."""
    name = config.models.stand_in
    asked = {model for agent in config.agents.agents.values() for model in chain(config.models, agent, env)}
    if name not in asked or urlsplit(config.models.models[name].base_url).port != 0:
        return None
    from agent.offline.server import OfflineModel, Pace

    server = await stack.enter_async_context(OfflineModel(pace=Pace(chunk=pace)))
    return server.base_url


def targets(config: Config, env: Mapping[str, str], offline_url: str | None) -> dict[str, Target]:
    """The models that agents ask, by name. `offline_url`: where the stand-in listens. Raises `PricingError`, and
    `ConfigError` where a key is not set."""
    names = {name for agent in config.agents.agents.values() for name in chain(config.models, agent, env)}
    models = {name: model for name, model in config.models.models.items() if name in names}
    if missing := tuple(filter(None, (missing_key(config.folder, *model, env) for model in models.items()))):
        raise ConfigError(missing)
    book = PriceBook.load() if any(model.price for model in models.values()) else None
    return {name: _target(name, model, env, offline_url, book) for name, model in models.items()}


def missing_key(folder: Path, name: str, model: ModelConfig, env: Mapping[str, str]) -> Problem | None:
    """That a model would be asked without its key, or with one that no header can hold."""
    key = api_keys.api_key(model, env)
    if key is None or (key and api_keys.is_usable(key)):
        return None
    found, expected = "is not set", "a key in it, or a `stand_in` that answers until there is one"
    if key:
        found, expected = api_keys.UNUSABLE, api_keys.USABLE
    member = f"models.{name}.api_key_env"
    return Problem(str(folder / "models.yaml"), None, None, member, f"{model.api_key_env} {found}", expected)


def _target(
    name: str, model: ModelConfig, env: Mapping[str, str], offline_url: str | None, book: PriceBook | None
) -> Target:
    url = offline_url if offline_url and model.provider == "offline" else effective_base_url(model, env)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(
        name, OpenAIChat(model, api_keys.api_key(model, env), url), tariff(model, book), parts.hostname or "", port
    )


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
        targets = tuple(available[model] for model in chain(config.models, agent, env))
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
