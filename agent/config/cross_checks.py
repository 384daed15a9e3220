"""What no single value shows: names that must exist elsewhere, numbers and keys that must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.config.base_urls import base_url_defect
from agent.config.documents import Document, KeyPath
from agent.config.problems import Problem
from agent.config.shapes import AgentConfig, AgentsFile, ModelConfig, ModelsFile
from agent.prompts.versions import PromptVersion, VariableType, fits

RESERVED_PARAMETERS = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
    }
)
"""What the agent sets itself. `n` is among them because each further choice is output that no hold covers."""

_KNOWN_PARAMETERS: Mapping[str, VariableType] = {
    "frequency_penalty": "number",
    "logprobs": "boolean",
    "parallel_tool_calls": "boolean",
    "presence_penalty": "number",
    "reasoning_effort": "text",
    "seed": "integer",
    "service_tier": "text",
    "stop": "text",
    "store": "boolean",
    "temperature": "number",
    "top_k": "integer",
    "top_logprobs": "integer",
    "top_p": "number",
    "user": "text",
    "verbosity": "text",
}
"""What a provider would refuse with every request if it were anything else. Other parameters pass as they are."""

_WORDS: Mapping[VariableType, str] = {
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "text": "text",
}


NANO = 10**9
"""Money is counted in nano-dollars."""


def agent_problems(agents: AgentsFile, document: Document) -> Iterator[Problem]:
    """Inside agents.yaml."""
    if agents.default not in agents.agents:
        yield document.problem(("default",), f"one of {_names(agents.agents)}")
    for name, agent in agents.agents.items():
        if int(agent.bounds.usd_per_turn * NANO) == 0:
            path: KeyPath = ("agents", name, "bounds", "usd_per_turn")
            yield document.problem(path, "at least a nano-dollar (0.000000001)", f"{agent.bounds.usd_per_turn}")
        for position, model in enumerate(agent.models):
            if model in agent.models[:position]:
                yield document.problem(("agents", name, "models", position), "each model once")


def model_problems(models: ModelsFile, document: Document) -> Iterator[Problem]:
    """Inside models.yaml."""
    if models.stand_in is not None and models.stand_in not in models.models:
        yield document.problem(("stand_in",), f"one of {_names(models.models)}")
    for name, model in models.models.items():
        yield from _one_model_problems(name, model, document)


def _one_model_problems(name: str, model: ModelConfig, document: Document) -> Iterator[Problem]:
    path = ("models", name)
    if expected := base_url_defect(model.base_url, with_key=model.api_key_env is not None):
        yield document.problem((*path, "base_url"), expected)
    if model.output_cap > model.context_window:
        yield document.problem((*path, "output_cap"), f"at most context_window ({model.context_window})")
    if model.minimal_answer > model.output_cap:
        yield document.problem((*path, "minimal_answer"), f"at most output_cap ({model.output_cap})")
    if model.free and (model.price is not None or model.ceiling_usd_per_mtok is not None):
        yield document.problem((*path, "free"), "either `free: true` or a price, not both")
    if not model.free and model.price is None and model.ceiling_usd_per_mtok is None:
        expected = (
            "`price: PROVIDER/MODEL`, `ceiling_usd_per_mtok: [INPUT, OUTPUT]` for a model without a known price, "
            "or `free: true` (a hard budget refuses what it cannot bound)"
        )
        yield document.problem((*path, "price"), expected, "no price")
    for parameter in sorted(RESERVED_PARAMETERS & model.parameters.keys()):
        yield document.problem((*path, "parameters", parameter), "no such parameter: the agent sets it", "the key")
    for parameter, value in model.parameters.items():
        kind = _KNOWN_PARAMETERS.get(parameter)
        if kind and not fits(kind, value):
            yield document.problem((*path, "parameters", parameter), _WORDS[kind])


def chain_problems(agents: AgentsFile, models: ModelsFile, document: Document) -> Iterator[Problem]:
    """Between agents.yaml and models.yaml; the places are those of agents.yaml."""
    for name, agent in agents.agents.items():
        for position, model_name in enumerate(agent.models):
            model = models.models.get(model_name)
            if model is None:
                path: KeyPath = ("agents", name, "models", position)
                yield document.problem(path, f"one of {_names(models.models)} (models.yaml)")
            elif agent.bounds.output_tokens > model.output_cap:
                path = ("agents", name, "bounds", "output_tokens")
                found = f"{agent.bounds.output_tokens}"
                yield document.problem(path, f"at most output_cap of {model_name} ({model.output_cap})", found)


def prompt_problems(
    agents: AgentsFile, prompts: Mapping[str, tuple[PromptVersion, ...]], document: Document
) -> Iterator[Problem]:
    """Between agents.yaml and the newest version of each agent's prompt; the places are those of agents.yaml."""
    for name, agent in agents.agents.items():
        if agent.prompt in prompts:
            yield from _variable_problems(name, agent, prompts[agent.prompt][-1], document)
        else:
            yield document.problem(("agents", name, "prompt"), f"one of {_names(prompts)} (folders of prompts/)")


def _variable_problems(name: str, agent: AgentConfig, prompt: PromptVersion, document: Document) -> Iterator[Problem]:
    path = ("agents", name, "variables")
    declared = {variable.name: variable for variable in prompt.variables}
    label = f"prompt {prompt.name}@{prompt.version}"
    for given, value in agent.variables.items():
        if given not in declared:
            yield document.problem((*path, given), f"a variable of {label}: {_names(declared)}", "the key")
        elif not fits(declared[given].type, value):
            yield document.problem((*path, given), f"{declared[given].type} ({label})")
    for variable in prompt.variables:
        if variable.default is None and variable.name not in agent.variables:
            yield document.problem((*path, variable.name), f"{variable.type} (required by {label})", "nothing")


def _names(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
