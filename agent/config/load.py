"""Reads `config/`. Everything that is wrong in any file is said at once, with file, line and key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from agent.config.cross_checks import agent_problems, chain_problems, model_problems, prompt_problems
from agent.config.documents import Document
from agent.config.problems import ConfigError, Problem
from agent.config.shapes import AgentsFile, BudgetsFile, ModelsFile
from agent.config.text_files import decode, read_bytes
from agent.config.validation import validate
from agent.config.yaml_text import parse
from agent.prompts.versions import PromptVersion, read_versions

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Config:
    """`config/` as it stands: `prompts` holds, by name, the versions from the oldest to the newest."""

    folder: Path
    agents: AgentsFile
    models: ModelsFile
    budgets: BudgetsFile
    prompts: dict[str, tuple[PromptVersion, ...]]

    def newest_prompt(self, name: str) -> PromptVersion:
        """The version with the highest number."""
        return self.prompts[name][-1]


@dataclass(frozen=True, slots=True)
class ConfigFile(Generic[Shape]):
    """A file's values and where each of them stands."""

    value: Shape
    document: Document


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read, file by file, None where it could not, and all problems."""

    folder: Path
    agents: ConfigFile[AgentsFile] | None
    models: ConfigFile[ModelsFile] | None
    budgets: ConfigFile[BudgetsFile] | None
    prompts: dict[str, tuple[PromptVersion, ...]]
    problems: tuple[Problem, ...]


def load_config(folder: Path) -> Config:
    """The configuration in `folder`. Raises ConfigError with every problem of every file."""
    reading = read_config(folder)
    if reading.problems or not (reading.agents and reading.models and reading.budgets):
        raise ConfigError(reading.problems)
    return Config(folder, reading.agents.value, reading.models.value, reading.budgets.value, reading.prompts)


def read_config(folder: Path) -> Reading:
    """As much of `folder` as can be read; raises nothing for what operators can write."""
    problems: list[Problem] = []
    agents = _read(AgentsFile, folder / "agents.yaml", problems)
    models = _read(ModelsFile, folder / "models.yaml", problems)
    budgets = _read(BudgetsFile, folder / "budgets.yaml", problems)
    prompts, prompt_file_problems = read_versions(folder / "prompts")
    problems += prompt_file_problems
    problems += _between(agents, models, None if prompt_file_problems else prompts)
    return Reading(folder, agents, models, budgets, prompts, tuple(problems))


def _read(shape: type[Shape], path: Path, problems: list[Problem]) -> ConfigFile[Shape] | None:
    try:
        document = parse(str(path), decode(path, read_bytes(path)))
        return ConfigFile(validate(shape, document), document)
    except ConfigError as error:
        problems.extend(error.problems)
        return None


def _between(
    agents: ConfigFile[AgentsFile] | None,
    models: ConfigFile[ModelsFile] | None,
    prompts: dict[str, tuple[PromptVersion, ...]] | None,
) -> Iterator[Problem]:
    """What can be said with the files that are whole; a broken one would only repeat itself in the others."""
    if agents:
        yield from agent_problems(agents.value, agents.document)
    if models:
        yield from model_problems(models.value, models.document)
    if agents and models:
        yield from chain_problems(agents.value, models.value, agents.document)
    if agents and prompts is not None:
        yield from prompt_problems(agents.value, prompts, agents.document)
