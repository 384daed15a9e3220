"""Content for the spans of a turn and of its calls: put together only where it is captured."""

from __future__ import annotations

from collections.abc import Iterator

from agent.models.protocol import CallFailed
from agent.question import Question
from agent.runtime import Agent
from agent.turn import Turn
from agent.types import Json, Message, Reply
from telemetry.spans import AgentSpan, ChatSpan


def of_call(agent: Agent, asked: Question, answer: Reply | CallFailed | None, span: ChatSpan) -> None:
    """What a model was sent, and what it answered as far as that arrived."""
    if not agent.services.telemetry.spans.captures_content:
        return
    reply = answer.reply if isinstance(answer, CallFailed) else answer
    said = (Message("system", asked.request.system), *asked.request.messages)
    answered = (reply.message,) if reply else ()
    reason = reply.finish_reasons[0] if reply and reply.finish_reasons else "error"
    tools = tuple(_definitions(agent)) if asked.request.tools else ()
    span.content(said, answered, reason, tools, agent.variables)


def of_turn(agent: Agent, turn: Turn, text: str | None, span: AgentSpan) -> None:
    """What was said before, what the user asked, and the answer."""
    if not agent.services.telemetry.spans.captures_content:
        return
    system = Message("system", agent.prompts[turn.prompt.digest])
    answered = (Message("assistant", text),) if text else ()
    span.content((system, *turn.history, Message("user", turn.input)), answered, tuple(_definitions(agent)))


def _definitions(agent: Agent) -> Iterator[Json]:
    for tool in agent.tools.tools.values():
        yield {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.schema),
        }
