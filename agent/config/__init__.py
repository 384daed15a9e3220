"""`config/` as validated values, with file, line and key in every error. `agent.config.load` reads it."""

from __future__ import annotations

from agent.config.problems import ConfigError, Problem
from agent.config.shapes import (
    AgentConfig,
    AgentsFile,
    Bounds,
    BudgetConfig,
    BudgetsFile,
    FailureKind,
    ModelConfig,
    ModelsFile,
    Name,
    RetryPolicy,
    Timeouts,
)

__all__ = [
    "AgentConfig",
    "AgentsFile",
    "Bounds",
    "BudgetConfig",
    "BudgetsFile",
    "ConfigError",
    "FailureKind",
    "ModelConfig",
    "ModelsFile",
    "Name",
    "Problem",
    "RetryPolicy",
    "Timeouts",
]
