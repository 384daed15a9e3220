"""`agent models`: the configured models, where they are and what they cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from agent.cli import documents
from agent.cli.common import AsJson, common
from agent.cli.failures import told
from agent.cli.terminal import out, safe, show_table

if TYPE_CHECKING:
    from agent.config.load import Config
    from agent.config.shapes import ModelConfig
    from agent.types import Json
    from telemetry.price_book import PriceBook

EXAMPLES = """\
[bold]Examples[/bold]
  agent models
  agent models --json | jq '.models[] | select(.key_set | not) | .name'

Prices are list prices for a short request in the standard tier.

[bold]JSON[/bold]
  models [{name provider model endpoint key_env key_set context_window
  output_cap price input_usd_per_mtok output_usd_per_mtok used_by stand_in}];
  or error {kind message exit_code problems}\
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model for people. Prices: USD per million tokens, as exact text; None where a model is free or has none."""

    name: str
    config: ModelConfig
    endpoint: str
    key_set: bool | None
    price: str
    prices: tuple[str | None, str | None]
    used_by: tuple[str, ...]
    stand_in: bool


def models(context: typer.Context, as_json: AsJson = False) -> int:
    """List the models of models.yaml: endpoint, prices, window, and whether their key is set."""

    def work() -> int:
        from agent.config.load import load_config

        config = load_config(common(context).folder())
        listed = list(_listed(config))
        if as_json:
            documents.write({"models": [_document(model) for model in listed]})
        else:
            _show(listed)
        return 0

    return told(as_json, work)


def _listed(config: Config) -> Iterator[Listed]:
    from agent.config.base_urls import effective_base_url
    from telemetry.price_book import PriceBook

    book = PriceBook.load() if any(model.price for model in config.models.models.values()) else None
    for name, model in config.models.models.items():
        yield Listed(
            name,
            model,
            effective_base_url(model, os.environ),
            bool(os.environ.get(model.api_key_env)) if model.api_key_env else None,
            model.price or ("free" if model.free else "ceiling"),
            _prices(model, book),
            tuple(agent for agent, config_ in config.agents.agents.items() if name in config_.models),
            name == config.models.stand_in,
        )


def _prices(model: ModelConfig, book: PriceBook | None) -> tuple[str | None, str | None]:
    """Of one token each way; times a million."""
    from datetime import UTC, datetime

    from agent.money.tariff import tariff
    from telemetry.pricing import price_text
    from telemetry.usage import Usage

    cost = tariff(model, book).prices.cost(Usage(1, 1), at=datetime.now(UTC), service_tier=None)
    units = {kind: price_text(Decimal(price).scaleb(6)) for kind, price in cost.unit_prices}
    return units.get("input"), units.get("output")


def _document(model: Listed) -> dict[str, Json]:
    return {
        "name": model.name,
        "provider": model.config.provider,
        "model": model.config.model,
        "endpoint": model.endpoint,
        "key_env": model.config.api_key_env,
        "key_set": model.key_set,
        "context_window": model.config.context_window,
        "output_cap": model.config.output_cap,
        "price": model.price,
        "input_usd_per_mtok": model.prices[0],
        "output_usd_per_mtok": model.prices[1],
        "used_by": list(model.used_by),
        "stand_in": model.stand_in,
    }


def _show(listed: list[Listed]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", no_wrap=True)
    table.add_column("provider")
    table.add_column("endpoint", overflow="fold")
    table.add_column("key")
    for name in ("in $/Mtok", "out $/Mtok", "window"):
        table.add_column(name, justify="right")
    table.add_column("used by")
    for model in listed:
        key = {None: "none needed", True: "set", False: f"{model.config.api_key_env} not set"}[model.key_set]
        free = "0 (free)" if model.price == "free" else "?"
        used = ", ".join(model.used_by) or ("stand-in without a key" if model.stand_in else "")
        cells = (model.name, model.config.provider, model.endpoint, key, model.prices[0] or free)
        table.add_row(*map(safe, (*cells, model.prices[1] or free, f"{model.config.context_window:,}", used)))
    show_table(out(), table)
