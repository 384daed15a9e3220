"""How a turn ended, for its client: an answer with the headers that identify it, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.service import answer, failures
from agent.service.answer import Answered
from agent.service.errors import NO_RETRY, ApiError
from agent.service.underway import UnderWay
from agent.service.wanted import CONVERSATION, Wanted


async def ended(turn: UnderWay, want: Wanted) -> Answered:
    """How the turn ended. Raises `ApiError` where there is nothing to show for it."""
    try:
        answered = await turn.end()
    except asyncio.CancelledError:
        if turn.task.cancelled():  # the turn was, not this request
            raise _going_on(turn, want, failures.handed_back()) from None
        raise
    except Exception as error:
        raise _going_on(turn, want, failures.told(error)) from error
    failure = answer.failure(answered)
    if failure:
        failure.headers = {**failure.headers, **identifying(answered.trace_id, answered.conversation_id)}
        raise failure
    return answered


def _going_on(turn: UnderWay, want: Wanted, error: ApiError) -> ApiError:
    """The same error, of a turn that has begun: it goes on without its client, who would pay for a second one if he
    asked again without a key."""
    so_far = turn.so_far
    if so_far.turn is None or not so_far.attempts:
        return error
    headers = {**error.headers, **identifying(so_far.trace_id, so_far.turn.conversation_id)}
    if want.asked.key is None:
        headers |= NO_RETRY
        error.message += f" This turn is under way: GET /v1/turns/{so_far.turn.id} will have its answer."
    error.headers = headers
    return error


def identifying(trace_id: str, conversation_id: str) -> dict[str, str]:
    return {"x-trace-id": trace_id, "x-request-id": trace_id, CONVERSATION: conversation_id}


def ignoring(want: Wanted) -> Mapping[str, str]:
    return {"x-agent-ignored": ", ".join(want.ignored)} if want.ignored else {}
