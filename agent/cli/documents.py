"""The JSON objects that commands write with `--json`.

Money is `{"nano_usd": 392560, "usd": "0.000392560"}`: an integer, and the same as exact decimal text. Times are
RFC 3339 in UTC, durations seconds. `null` means unknown, or not applicable, and never zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from agent.cli import streams

if TYPE_CHECKING:
    from agent.cli.budgets import Standing
    from agent.config.problems import Problem
    from agent.trace_tree import AttemptNode, ChatNode, Node, TurnTree
    from agent.types import Json, TurnResult


def write(document: dict[str, Json]) -> None:
    """The one thing on stdout: one line, and ASCII, so that no encoding matters."""
    stream = streams.stdout()
    stream.write(json.dumps(document) + "\n")
    stream.flush()


def money(nano: int) -> dict[str, Json]:
    return {"nano_usd": nano, "usd": f"{Decimal(nano).scaleb(-9):.9f}"}


def moment(micros: int | None) -> str | None:
    from datetime import UTC, datetime

    return None if micros is None else datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="microseconds")


def problem(found: Problem) -> dict[str, Json]:
    return {
        "severity": found.severity,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "key": found.key,
        "found": found.found,
        "expected": found.expected,
    }


def result(ended: TurnResult, budgets: Sequence[Standing], stand_in: bool) -> dict[str, Json]:
    return {
        "turn_id": ended.turn_id,
        "conversation_id": ended.conversation_id,
        "trace_id": ended.trace_id,
        "agent": ended.agent,
        "outcome": ended.outcome,
        "text": ended.text,
        "reason": ended.reason,
        "models": list(ended.models),
        "stand_in": stand_in,
        "prompt": {"name": ended.prompt_name, "version": ended.prompt_version},
        "usage": {"input_tokens": ended.usage.input_tokens, "output_tokens": ended.usage.output_tokens},
        "cost": money(ended.cost_nano_usd),
        "budgets": [budget(each) for each in budgets],
        "seconds": round(ended.seconds, 6),
    }


def budget(standing: Standing) -> dict[str, Json]:
    return {
        "name": standing.name,
        "limit": None if standing.limit is None else money(standing.limit),
        "charged": money(standing.charged),
        "held": money(standing.held),
        "left": None if standing.left is None else money(standing.left),
    }


def tree(turn: TurnTree) -> dict[str, Json]:
    return {
        "turn_id": turn.turn_id,
        "conversation_id": turn.conversation_id,
        "trace_id": turn.trace_id,
        "agent": turn.agent,
        "prompt": {"name": turn.prompt_name, "version": turn.prompt_version},
        "state": turn.state,
        "outcome": turn.outcome,
        "began": moment(turn.began),
        "ended": moment(turn.ended),
        "seconds": _seconds(turn.began, turn.ended),
        "epoch": turn.epoch,
        "processes": [{"epoch": p.epoch, "worker": p.worker, "host": p.host} for p in turn.processes],
        "erased": turn.erased,
        "usage": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
        "cost": money(turn.cost),
        "spans": [_node(node) for node in turn.nodes],
    }


def _node(node: Node) -> dict[str, Json]:
    from agent.trace_tree import ChatNode

    shared: dict[str, Json] = {
        "step": node.step,
        "epoch": node.epoch,
        "began": moment(node.began),
        "seconds": _seconds(node.began, node.ended),
        "error_type": node.error_type,
    }
    if isinstance(node, ChatNode):
        return {"operation": "chat", **shared, **_chat(node)}
    return {"operation": "execute_tool", **shared, "tool": node.name, "state": node.state}


def _chat(node: ChatNode) -> dict[str, Json]:
    input_tokens, output_tokens = node.tokens()
    return {
        "provider": node.provider,
        "model": node.model,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
        "cost": money(node.cost),
        "attempts": [_attempt(attempt) for attempt in node.attempts],
    }


def _attempt(attempt: AttemptNode) -> dict[str, Json]:
    return {
        "number": attempt.number,
        "kind": attempt.kind,
        "began": moment(attempt.began),
        "seconds": _seconds(attempt.began, attempt.ended),
        "response_model": attempt.response_model,
        "usage": {"input_tokens": attempt.input_tokens, "output_tokens": attempt.output_tokens},
        "quality": attempt.quality,
        "cost": money(attempt.cost),
        "error_type": attempt.error_type,
        "corrected": attempt.corrected,
    }


def _seconds(began: int, ended: int | None) -> float | None:
    return None if ended is None else round((ended - began) / 1e6, 6)
