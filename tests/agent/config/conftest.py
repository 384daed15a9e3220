from __future__ import annotations

from pathlib import Path

import pytest

AGENTS = """\
default: desk
agents:
  desk:
    prompt: desk
    models: [big, small]
    variables: {company: Example Ltd}
    bounds:
      steps: 8
      deadline_seconds: 120
      output_tokens: 1024
      usd_per_turn: 0.10
"""
MODELS = """\
stand_in: local
models:
  big:
    provider: openai
    model: big-1
    context_window: 272000
    output_cap: 128000
    price: openai/big-1
  small:
    provider: openai
    model: small-1
    context_window: 128000
    output_cap: 4096
    price: openai/small-1
  local:
    provider: local
    model: local
    base_url: http://127.0.0.1:8000/v1
    api_key_env: null
    context_window: 8192
    output_cap: 2048
    minimal_answer: 64
    free: true
"""
BUDGETS = """\
budgets:
  everything:
    scope: everything
    limit_usd: 25
    mode: hard
"""
PROMPT = """\
---
variables:
  company: {type: text}
---
You answer for {{ company }}.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole configuration, to be spoilt."""
    (tmp_path / "prompts" / "desk").mkdir(parents=True)
    for name, text in {
        "agents.yaml": AGENTS,
        "models.yaml": MODELS,
        "budgets.yaml": BUDGETS,
        "prompts/desk/1.md": PROMPT,
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path
