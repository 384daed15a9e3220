"""A whole agent on a configuration of its own that asks the stand-in: `async with running_app(tmp_path, server)`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from agent.app import App
from agent.offline.server import OfflineModel
from agent.settings import Settings
from agent.store.sqlite import MEMORY, Synchronous
from agent.store.store import Lease
from agent.types import Json
from tests.support.processes import ROOT

PROMPT = "You are a helpdesk."
TOOLS = "tests.support.desk"
Values = Mapping[str, Json]


class Overrides(TypedDict, total=False):
    """What a test wants otherwise.

    `bounds` and `model` add to an agent's bounds and to the model `small` in YAML's terms. `chain` are further models:
    name to what differs from `small`; they are asked after it, in this order. `budgets`: name to limit in USD.
    `agents` are further agents: name to what differs from `desk`. `store`: a file in place of `tmp_path/store.db`, or
    `:memory:`.
    """

    bounds: Values
    model: Values
    chain: Mapping[str, Values]
    budgets: Mapping[str, float | str]
    agents: Mapping[str, Values]
    tools: Sequence[str]
    prompts: Mapping[int, str]
    variables: Mapping[str, str]
    store: str
    synchronous: Synchronous
    lease: Lease
    env: Mapping[str, str]
    take_over: bool


@contextlib.asynccontextmanager
async def running_app(tmp_path: Path, server: OfflineModel, **overrides: Unpack[Overrides]) -> AsyncIterator[App]:
    """An open App. Called again with the same `tmp_path`, it is another process of the same store, as it were."""
    config = write_config(tmp_path / "config", server.base_url, **overrides)
    settings = Settings(
        config=config,
        env={"OTEL_SDK_DISABLED": "true", **overrides.get("env", {})},
        store=overrides.get("store", str(tmp_path / "store.db")),
        synchronous=overrides.get("synchronous", "NORMAL"),
        lease=overrides.get("lease", Lease()),
    )
    async with App.open(settings, take_over=overrides.get("take_over", False)) as app:
        yield app


def metric(app: App, sample: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    samples = (s for family in app.services.telemetry.registry.collect() for s in family.samples)
    return sum(s.value for s in samples if s.name == sample and labels.items() <= s.labels.items())


def write_config(folder: Path, base_url: str, **overrides: Unpack[Overrides]) -> Path:
    """A folder like `config/`, written anew: one agent `desk`, one prompt `desk`, one model `small` and its chain."""
    small: dict[str, Json] = {
        "provider": "openai",
        "model": "small",
        "base_url": base_url,
        "api_key_env": None,
        "context_window": 100_000,
        "output_cap": 1000,
        "minimal_answer": 16,
        "response_names": ["small-2026-01-01"],
        "ceiling_usd_per_mtok": [1, 2],
        "retries": {"attempts": 3, "base_seconds": 0},
        **overrides.get("model", {}),
    }
    chain = {name: {**small, "model": name, **differs} for name, differs in overrides.get("chain", {}).items()}
    agent: dict[str, Json] = {
        "prompt": "desk",
        "models": ["small", *chain],
        "tools": list(overrides.get("tools", [TOOLS])),
        "variables": dict(overrides.get("variables", {})),
        "bounds": {"usd_per_turn": 10, "output_tokens": 1000, **overrides.get("bounds", {})},
    }
    budgets = overrides.get("budgets", {"everything": 1000})
    agents = {name: {**agent, **differs} for name, differs in overrides.get("agents", {}).items()}
    _write(folder / "agents.yaml", {"default": "desk", "agents": {"desk": agent, **agents}})
    _write(folder / "models.yaml", {"models": {"small": small, **chain}})
    _write(folder / "budgets.yaml", {"budgets": {name: {"limit_usd": usd} for name, usd in budgets.items()}})
    for version, text in overrides.get("prompts", {1: PROMPT}).items():
        (folder / "prompts/desk").mkdir(parents=True, exist_ok=True)
        (folder / f"prompts/desk/{version}.md").write_text(text)
    if not (folder / "helpdesk").exists():
        (folder / "helpdesk").symlink_to(ROOT / "config/helpdesk")
    return folder


def _write(path: Path, value: Values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))  # which is YAML, too


__all__ = ["MEMORY", "Overrides", "metric", "running_app", "write_config"]
