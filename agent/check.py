"""`agent check`: everything in `config/`, more slowly and more widely than a start does: templates are rendered, tool
modules imported with their data, price keys looked up, the environment's variables considered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from agent.config import api_keys
from agent.config.base_urls import effective_base_url, is_loopback
from agent.config.chains import chain
from agent.config.load import ConfigFile, Reading, read_config
from agent.config.problems import ConfigError, Problem
from agent.config.shapes import AgentConfig, AgentsFile, BudgetsFile, ModelsFile
from agent.prompts.versions import PromptVersion
from agent.service import checks

_SEVERITIES = ("error", "warning", "note")


def check(folder: Path, env: Mapping[str, str]) -> list[Problem]:
    """All problems with the configuration in `folder`, errors first. Tool modules are imported; nothing is called."""
    reading = read_config(folder)
    problems = [*reading.problems, *_templates(reading)]
    problems += checks.problems(folder, reading.agents.value.agents if reading.agents else ())
    if reading.agents:
        problems += _renderings(reading, reading.agents.value)
        problems += _tools(reading, reading.agents)
    if reading.models:
        problems += _prices(reading.models)
        problems += _endpoints(reading.models, env)
    if reading.agents and reading.models:
        problems += _keys(reading.agents.value, reading.models, env)
        problems += _bounds(reading.agents, reading.models.value)
    if reading.agents and reading.budgets:
        problems += _turns_and_budgets(reading.agents, reading.budgets.value)
    if reading.budgets:
        problems += _budgets(reading.budgets)
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: (_SEVERITIES.index(problem.severity), problem.file, problem.line or 0))


def _templates(reading: Reading) -> Iterator[Problem]:
    from agent.prompts.templates import PromptError, check_template, render

    for version in (version for versions in reading.prompts.values() for version in versions):
        file = _file(reading, version)
        try:
            for name in check_template(version):
                found = "one that the template doesn't use"
                yield Problem(file, None, None, f"variables.{name}", found, "one that it does", "warning")
            if all(variable.default is not None for variable in version.variables):
                render(version, {})
        except PromptError as error:
            yield Problem(file, error.line, None, "template", error.found, error.expected)


def _renderings(reading: Reading, agents: AgentsFile) -> Iterator[Problem]:
    """Each agent's prompt with the agent's own variables; what they lack or mistype is known from reading."""
    from agent.prompts.templates import PromptError, render

    if reading.problems:
        return
    for agent in agents.agents.values():
        version = reading.prompts[agent.prompt][-1]
        try:
            render(version, agent.variables)
        except PromptError as error:
            yield Problem(_file(reading, version), error.line, None, "template", error.found, error.expected)


def _tools(reading: Reading, agents: ConfigFile[AgentsFile]) -> Iterator[Problem]:
    for name, agent in agents.value.agents.items():
        yield from _module_problems(reading.folder, name, agent, agents)


def _module_problems(folder: Path, name: str, agent: AgentConfig, agents: ConfigFile[AgentsFile]) -> Iterator[Problem]:
    """Each module by itself, so that all are reported, then together: two may bring tools of one name."""
    from agent.tools.helpdesk_data import HelpdeskDataError
    from agent.tools.registry import ToolModuleError, load_tools

    for modules in (*((module,) for module in agent.tools), agent.tools):
        try:
            load_tools(modules, folder)
        except ToolModuleError as error:
            data = error.__cause__
            if isinstance(data, HelpdeskDataError):
                expected = "data that the tools can use"
                yield Problem(str(data.file), data.line or None, None, data.key, data.reason, expected)
            else:
                path = ("agents", name, "tools", agent.tools.index(error.module))
                yield agents.document.problem(path, "", f"{error.module}: {error.reason}")


def _prices(models: ConfigFile[ModelsFile]) -> Iterator[Problem]:
    """Asks for a bound, as every call does: a key may exist and still have no price for a chat's tokens."""
    from agent.money.tariff import tariff
    from telemetry.price_book import PriceBook
    from telemetry.pricing import PricingError

    book = PriceBook.load()
    for name, model in models.value.models.items():
        path = ("models", name, "price")
        if model.price is None:
            continue
        try:
            tariff(model, book).bound(1, datetime.now(UTC))
        except PricingError as error:
            expected = "an exact key PROVIDER/MODEL of the price book that has prices for text"
            yield models.document.problem(path, expected, str(error))
        if model.ceiling_usd_per_mtok is not None:
            expected = "one of them (beside a price, a ceiling has no effect)"
            yield models.document.problem((*path[:2], "ceiling_usd_per_mtok"), expected, "both", "warning")


def _endpoints(models: ConfigFile[ModelsFile], env: Mapping[str, str]) -> Iterator[Problem]:
    for name, model in models.value.models.items():
        try:
            url = urlsplit(effective_base_url(model, env))
        except ConfigError as error:
            yield from error.problems
            continue
        except ValueError:
            continue  # a malformed base_url is among the reading's problems
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            expected = "https (prompts and answers travel in the clear)"
            yield models.document.problem(("models", name, "base_url"), expected, severity="warning")


def _keys(agents: AgentsFile, models: ConfigFile[ModelsFile], env: Mapping[str, str]) -> Iterator[Problem]:
    used = {model for agent in agents.agents.values() for model in agent.models}
    asked = {model for agent in agents.agents.values() for model in chain(models.value, agent, env)}
    for name, model in models.value.models.items():
        key = api_keys.api_key(model, env)
        if name not in used or key is None:
            continue
        path = ("models", name, "api_key_env")
        if not key:
            found = f"{model.api_key_env} not set"
            if name in asked:
                expected = "a key in it, or a `stand_in` that answers until there is one"
                yield models.document.problem(path, expected, found)
            else:
                expected = f"a key in it (until then {models.value.stand_in} stands in for an agent's first model)"
                yield models.document.problem(path, expected, found, "note")
        elif not api_keys.is_usable(key):
            yield models.document.problem(path, api_keys.USABLE, f"{model.api_key_env} {api_keys.UNUSABLE}")


def _bounds(agents: ConfigFile[AgentsFile], models: ModelsFile) -> Iterator[Problem]:
    for name, agent in agents.value.agents.items():
        path = ("agents", name, "bounds", "output_tokens")
        for model in (each for each in agent.models if each in models.models):
            least = models.models[model].minimal_answer
            if agent.bounds.output_tokens < least:
                expected = f"at least minimal_answer of {model} ({least}), or no budget ever lowers an answer's cap"
                yield agents.document.problem(path, expected, f"{agent.bounds.output_tokens}", "warning")


def _turns_and_budgets(agents: ConfigFile[AgentsFile], budgets: BudgetsFile) -> Iterator[Problem]:
    limit = min((budget.limit_usd for budget in budgets.budgets.values()), default=None)
    for name, agent in agents.value.agents.items():
        if limit is not None and agent.bounds.usd_per_turn > limit:
            path = ("agents", name, "bounds", "usd_per_turn")
            expected = f"at most what all turns together may spend ({limit}, budgets.yaml)"
            yield agents.document.problem(path, expected, f"{agent.bounds.usd_per_turn}", "warning")


def _budgets(budgets: ConfigFile[BudgetsFile]) -> Iterator[Problem]:
    if not budgets.value.budgets:
        expected = "a budget over everything (else only usd_per_turn limits what is spent)"
        yield budgets.document.problem(("budgets",), expected, "none", "warning")


def _file(reading: Reading, version: PromptVersion) -> str:
    return str(reading.folder / "prompts" / version.name / f"{version.version}.md")
