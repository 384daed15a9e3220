"""This program, set up for the comparison: a support agent with two tools that cost nothing, everything on."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from agent.app import App
from agent.settings import from_env

QUESTION = "Hi, I am customer U-123. My wifi keeps dropping every evening, what can I do?"
SYSTEM = (
    "You are a support agent for Acme Internet. Look the customer up before you answer, search the knowledge base for "
    "the problem they describe, and answer in at most five sentences. Never invent account data, never promise "
    "refunds, and offer a technician visit when the steps do not help."
)
EXPECTED = "technician visit for you."

FILES = {
    "agents.yaml": """
default: support
agents:
  support:
    prompt: support
    models: [small]
    tools: [tests.benchmarks.tools]
    bounds: {{ usd_per_turn: 1 }}
  talker:
    prompt: support
    models: [small]
    tools: []
    bounds: {{ usd_per_turn: 1 }}
""",
    "models.yaml": """
models:
  small:
    provider: openai
    model: gpt-4o-mini
    base_url: {base_url}
    context_window: 128000
    output_cap: 16384
    response_names: [gpt-4o-mini-2024-07-18]
    price: openai/gpt-4o-mini
""",
    "budgets.yaml": """
budgets:
  everything: {{ limit_usd: 1000000 }}
""",
}


def written(folder: Path, base_url: str, store: str, otlp_url: str | None) -> dict[str, str]:
    """Writes the configuration; what else it needs of the environment. `store` as in AGENT_STORE. `otlp_url` is where
    spans go; None switches export off."""
    (folder / "prompts/support").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text.format(base_url=base_url))
    (folder / "prompts/support/1.md").write_text(SYSTEM)
    env = {"OPENAI_API_KEY": "sk-x", "AGENT_STORE": store}
    if otlp_url:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp_url
        env["OTEL_LOGS_EXPORTER"] = env["OTEL_METRICS_EXPORTER"] = "none"
    return env


async def opened(stack: AsyncExitStack, base_url: str, store: str, otlp_url: str | None) -> App:
    """The program, as `written` says."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return await stack.enter_async_context(App.open(from_env(folder, written(folder, base_url, store, otlp_url))))
