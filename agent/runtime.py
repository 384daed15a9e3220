"""An agent that is ready to run: its models, tools, prompt and bounds, and what it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.config import Bounds
from agent.config.shapes import Scalar
from agent.models.protocol import Model
from agent.money.account import Limit
from agent.money.tariff import Tariff
from agent.pulse import Pulse
from agent.store.store import Store
from agent.tools.registry import Registry
from telemetry.exporters import Telemetry


@dataclass(frozen=True, slots=True)
class Target:
    """A model of the chain, by its name in `models.yaml`, with its endpoint and its prices."""

    name: str
    model: Model
    tariff: Tariff
    server_address: str
    server_port: int


@dataclass(frozen=True, slots=True)
class Services:
    """What all agents of a process share."""

    store: Store
    pulse: Pulse
    telemetry: Telemetry
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. `chain` is asked from the first model on; `prompts` are the system prompts by digest, rendered with
    `variables`."""

    name: str
    chain: tuple[Target, ...]
    tools: Registry
    prompts: Mapping[str, str]
    variables: Mapping[str, Scalar]
    bounds: Bounds
    services: Services
