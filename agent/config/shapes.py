"""What may be written in each YAML file of `config/`: keys, units, limits and defaults."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Scalar = str | int | float | bool
PositiveUsd = Annotated[Decimal, Field(gt=0, le=1_000_000)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounds(Strict):
    """What ends a turn. Times in seconds, sizes in bytes, money in USD. One step would run tools for nobody: the call
    that reads their results is the second."""

    steps: int = Field(8, ge=2, le=1000)
    tool_calls: int = Field(24, ge=0, le=10_000)
    calls_per_reply: int = Field(8, ge=1, le=1000)
    parallel_tools: int = Field(4, ge=1, le=256)
    deadline_seconds: float = Field(120.0, gt=0, le=86_400)
    output_tokens: int = Field(1024, ge=1)
    usd_per_turn: Decimal = Field(Decimal("0.10"), gt=0, le=1000)
    tool_result_bytes: int = Field(16_384, ge=256, le=1_048_576)


class AgentConfig(Strict):
    """One agent: a prompt, a fallback chain of models (first to last), tool modules, bounds.

    `client_system_messages`: clients of the service may add system messages to the agent's own prompt.
    """

    prompt: Name
    models: tuple[Name, ...] = Field(min_length=1)
    tools: tuple[str, ...] = ()
    variables: dict[str, Scalar] = Field(default_factory=dict)
    bounds: Bounds = Bounds()
    client_system_messages: bool = False


class AgentsFile(Strict):
    """`agents.yaml`."""

    default: Name
    agents: dict[Name, AgentConfig] = Field(min_length=1)


class RetryPolicy(Strict):
    """Attempts of one call: at most `attempts`, waits of `base_seconds` x 2^n with full jitter up to `cap_seconds`."""

    attempts: int = Field(3, ge=1, le=10)
    base_seconds: float = Field(0.5, ge=0, le=60)
    cap_seconds: float = Field(8.0, ge=0, le=300)


class Timeouts(Strict):
    """Seconds: to connect, to the first byte of the answer, between two pieces of it."""

    connect: float = Field(5.0, gt=0, le=300)
    first_byte: float = Field(60.0, gt=0, le=3600)
    between: float = Field(30.0, gt=0, le=3600)


FailureKind = Literal[
    "timeout", "connection", "rate_limit", "server_error", "malformed", "auth", "bad_request", "context_overflow"
]
"""What can go wrong with a model call, by what can be done about it."""


class ModelConfig(Strict):
    """One named model. `model` is its name on the wire; `response_names` are the other names it may answer with.

    `price` is `PROVIDER/MODEL`, an exact key of the price book. `free: true` is the only way to say that a model
    costs nothing. `ceiling_usd_per_mtok` (input, output) holds a bound for a model without a price.
    `overhead_*` are input tokens that the provider adds beyond the request's bytes, per request and per tool.
    """

    provider: Name
    model: str = Field(min_length=1, max_length=200)
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str | None = Field("OPENAI_API_KEY", pattern=r"^[A-Z][A-Z0-9_]{0,127}$")
    context_window: int = Field(ge=256)
    output_cap: int = Field(ge=1)
    cap_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    minimal_answer: int = Field(16, ge=1)
    response_names: tuple[str, ...] = ()
    price: str | None = Field(None, pattern=r"^[^/\s]+/\S+$")
    free: bool = False
    ceiling_usd_per_mtok: tuple[PositiveUsd, PositiveUsd] | None = None
    overhead_per_request: int = Field(0, ge=0)
    overhead_per_tool: int = Field(0, ge=0)
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    retries: RetryPolicy = RetryPolicy()
    fallback_on: tuple[FailureKind, ...] = ("timeout", "connection", "rate_limit", "server_error", "malformed")


class ModelsFile(Strict):
    """`models.yaml`. `stand_in` names the model that answers when an agent's first model has its key variable unset."""

    stand_in: Name | None = None
    models: dict[Name, ModelConfig] = Field(min_length=1)


class BudgetConfig(Strict):
    """One budget: what is counted together (`scope`), over which window, up to how many USD."""

    scope: Literal["everything"] = "everything"
    window: Literal["total"] = "total"
    limit_usd: Decimal = Field(gt=0, le=1_000_000_000)
    mode: Literal["hard"] = "hard"


class BudgetsFile(Strict):
    """`budgets.yaml`. The budget per turn is `usd_per_turn` of the agent's bounds."""

    budgets: dict[Name, BudgetConfig] = Field(default_factory=dict)
