"""This program as one entry of a comparison: a turn of two model calls and two tool calls, everything on.

`setup(base_url, otlp_url)`, then `run(n)` turns one after the other, or `one()` on `loop`. AGENT_STORE chooses the
store (in memory unless set), BENCH_TELEMETRY=off switches export off, BENCH_STREAM=1 streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from agent.app import App
from agent.settings import from_env
from agent.types import TurnResult

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

loop = asyncio.new_event_loop()
stack = contextlib.AsyncExitStack()
stream = os.environ.get("BENCH_STREAM") == "1"
app: App


def setup(base_url: str, otlp_url: str) -> None:
    """Starts the program. The folder with its configuration is left to the system's temporary folder."""
    global app
    folder = Path(tempfile.mkdtemp())
    for name, text in FILES.items():
        (folder / name).write_text(text.format(base_url=base_url))
    (folder / "prompts/support").mkdir(parents=True)
    (folder / "prompts/support/1.md").write_text(SYSTEM)
    env = {"OPENAI_API_KEY": "sk-x", "AGENT_STORE": os.environ.get("AGENT_STORE", "sqlite://")}
    if os.environ.get("BENCH_TELEMETRY") != "off":
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp_url
        env["OTEL_LOGS_EXPORTER"] = env["OTEL_METRICS_EXPORTER"] = "none"
    app = loop.run_until_complete(stack.enter_async_context(App.open(from_env(folder, env))))


async def one() -> str | None:
    result: TurnResult = await app.ask(QUESTION, stream=stream)
    return result.text


async def _run(turns: int) -> None:
    text = None
    for _ in range(turns):
        text = await one()
    if not text or not text.endswith(EXPECTED):
        raise AssertionError(f"wrong answer: {text!r}")


def run(turns: int) -> None:
    loop.run_until_complete(_run(turns))


def flush() -> None:
    app.services.telemetry.flush()
