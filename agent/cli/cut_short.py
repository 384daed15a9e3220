"""A turn that a signal ended: it has no result, but an id and a cost."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.app import App
    from agent.store.tx import Tx
    from agent.trace_tree import TurnTree
    from agent.types import TurnResult

NEWEST = 20
"""Conversations among which that of the turn is looked for: other processes go on with theirs meanwhile."""


async def cut_short(app: App, ended: Collection[str]) -> TurnResult | None:
    """What became of the last turn of this process that is not among `ended`; None where it had asked no model."""

    def find(tx: Tx) -> TurnTree | None:
        from agent import trace_tree
        from agent.store import conversations

        for conversation in conversations.newest(tx, NEWEST):
            turn = trace_tree.read(tx, trace_tree.find(tx, conversation.id))
            ours = any(process.worker == app.services.store.worker for process in turn.processes)
            if ours and turn.outcome == "cancelled" and turn.turn_id not in ended:
                return turn
        return None

    found = await app.services.store.read(find)
    return _result(app, found) if found else None


def _result(app: App, turn: TurnTree) -> TurnResult:
    from agent.trace_tree import ChatNode
    from agent.types import TurnResult
    from telemetry.usage import Usage

    asked = [node.model for node in turn.nodes if isinstance(node, ChatNode) and node.error_type is None]
    chain = app.agents[turn.agent].chain
    return TurnResult(
        turn_id=turn.turn_id,
        conversation_id=turn.conversation_id,
        trace_id=turn.trace_id or "",
        agent=turn.agent,
        outcome="cancelled",
        text=None,
        reason="what had been asked of the model until then is paid for",
        usage=Usage(turn.input_tokens, turn.output_tokens),
        cost_nano_usd=turn.cost,
        prompt_name=turn.prompt_name,
        prompt_version=turn.prompt_version,
        models=tuple(target.name for target in chain if target.model.config.model in asked),
        stand_in=app.stand_in,
        seconds=((turn.ended or turn.began) - turn.began) / 1e6,
    )
