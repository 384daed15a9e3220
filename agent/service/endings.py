"""How a turn ended, for its client: an answer with the headers that identify it, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.service import answer, failures
from agent.service.answer import Answered
from agent.service.underway import UnderWay
from agent.service.wanted import CONVERSATION, Wanted


async def ended(turn: UnderWay) -> Answered:
    """How the turn ended. Raises `ApiError` where there is nothing to show for it."""
    try:
        answered = await turn.end()
    except asyncio.CancelledError:
        if turn.task.cancelled():  # the turn was, not this request
            raise failures.handed_back() from None
        raise
    except Exception as error:
        raise failures.told(error) from error
    failure = answer.failure(answered)
    if failure:
        failure.headers = {**failure.headers, **identifying(answered.trace_id, answered.conversation_id)}
        raise failure
    return answered


def identifying(trace_id: str, conversation_id: str) -> dict[str, str]:
    return {"x-trace-id": trace_id, "x-request-id": trace_id, CONVERSATION: conversation_id}


def ignoring(want: Wanted) -> Mapping[str, str]:
    return {"x-agent-ignored": ", ".join(want.ignored)} if want.ignored else {}
