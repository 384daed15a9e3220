"""What is said after an answer: who answered, how it ended, what it cost, what is left, and how to find it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.cli.terminal import safe, seconds, tokens, usd

if TYPE_CHECKING:
    from rich.console import Console

    from agent.app import App
    from agent.cli.budgets import Standing
    from agent.types import TurnResult


def stand_in(app: App, result: TurnResult) -> bool:
    """Whether the offline model answered, or would have."""
    return result.stand_in or (not result.models and app.stand_in)


def show(console: Console, app: App, result: TurnResult, budgets: Sequence[Standing]) -> None:
    """Nothing is broken over lines, so that ids can be copied from a narrow terminal, too."""
    from rich.text import Text

    if stand_in(app, result):
        label(console, app, result.agent)
    rows = _rows(app, result, budgets)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(Text.assemble((f"{name:<{width}}", "dim"), "  ", safe(value)), soft_wrap=True)
    console.print(f"agent trace {result.turn_id}", style="dim", soft_wrap=True)


def brief(result: TurnResult) -> str:
    """In one line, between the turns of a chat."""
    ended = result.outcome if result.reason is None else f"{result.outcome}: {result.reason}"
    return f"{ended} · {seconds(int(result.seconds * 1e6))} · {usd(result.cost_nano_usd)} · turn {result.turn_id}"


def label(console: Console, app: App, agent: str) -> None:
    """So that nobody takes the stand-in for a model."""
    from agent.config.base_urls import OVERRIDE

    first = app.config.agents.agents[agent].models[0]
    variable = app.config.models.models[first].api_key_env
    instead = ""
    if variable and not app.settings.env.get(variable):
        instead = f" Set {variable} to ask {first}."
    elif variable and app.settings.env.get(OVERRIDE):
        instead = f" {OVERRIDE} leads to it."
    console.print(f"The offline stand-in answers, not a real model.{instead}", style="bold yellow", soft_wrap=True)


def _rows(app: App, result: TurnResult, budgets: Sequence[Standing]) -> list[tuple[str, str]]:
    usage = result.usage
    counted = f"{tokens(usage.input_tokens)} tokens in, {tokens(usage.output_tokens)} out"
    rows = [("outcome", f"{result.outcome} in {seconds(int(result.seconds * 1e6))}")]
    if result.reason:
        rows.append(("reason", result.reason))
    if result.outcome == "provider_failed":
        rows += [("asked", where) for where in _asked(app, result)]
    rows.append(("cost", f"{usd(result.cost_nano_usd)} for {counted}"))
    rows += [(f"budget {each.name}", _left(each)) for each in budgets]
    return [
        *rows,
        ("prompt", f"{result.prompt_name}@{result.prompt_version}"),
        ("model", ", ".join(_model(app, name) for name in result.models) or "none answered"),
        ("trace", result.trace_id),
        ("turn", result.turn_id),
        ("conversation", result.conversation_id),
    ]


def _asked(app: App, result: TurnResult) -> Iterator[str]:
    """The models of the chain, and where a request to each goes: a wrong base URL is seen there."""
    from agent.config.base_urls import OVERRIDE, effective_base_url
    from agent.config.chains import chain

    config, env = app.config.models, app.settings.env
    for name in chain(config, app.config.agents.agents[result.agent], env):
        if name != config.stand_in:
            url = effective_base_url(config.models[name], env)
            yield f"{name} at {url} ({'models.yaml' if url == config.models[name].base_url else OVERRIDE})"


def _left(budget: Standing) -> str:
    if budget.left is None:
        return f"{usd(budget.charged)} charged, no limit"
    held = f", {usd(budget.held)} held by calls under way" if budget.held else ""
    return f"{usd(budget.left)} left of {usd(budget.limit or 0)}{held}"


def _model(app: App, name: str) -> str:
    config = app.config.models.models[name]
    return name if config.model == name else f"{name} ({config.provider}/{config.model})"
