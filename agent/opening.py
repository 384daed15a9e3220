"""A new turn: its place in its conversation, the prompt version that it gets, what was said before."""

from __future__ import annotations

import time
from dataclasses import dataclass

import uuid_utils

from agent.config.load import Config
from agent.memory.window import history
from agent.runtime import Agent
from agent.store import conversations
from agent.store.conversations import Conversation
from agent.store.store import Store
from agent.store.tx import Tx
from agent.store.work import Begin
from agent.turn import Pin, Turn
from agent.types import Caller, Message


class CallerError(Exception):
    """What was asked for can't be had; the message says why, for whoever asked."""


class NoSuchConversation(CallerError):
    """There is none of this id for this caller, or it was erased."""


class ConversationBusy(CallerError):
    """Another turn is open in this conversation."""


class PromptChanged(CallerError):
    """The version that the conversation was given has another text now, or is gone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants. `conversation` goes on with an earlier one."""

    text: str
    caller: Caller
    conversation: str | None = None


def opening(config: Config, agent: Agent, store: Store, asked: Asked) -> Turn:
    """The turn, not accepted yet. Raises `CallerError`."""
    turn_id = str(uuid_utils.uuid7())
    text = _unicode(asked.text)
    if asked.conversation is None:
        version = config.newest_prompt(config.agents.agents[agent.name].prompt)
        pin = Pin(version.name, str(version.version), version.digest)
        return _turn(agent, asked.caller, turn_id, str(uuid_utils.uuid7()), 0, pin, text, ())
    conversation_id = _unicode(asked.conversation)
    found = store.read(lambda tx: conversations.read(tx, conversation_id))
    if found is None or found.erased_at or not _may_go_on(found, asked.caller):
        raise NoSuchConversation(f"no conversation {conversation_id}")
    if found.agent != agent.name:
        raise NoSuchConversation(f"conversation {conversation_id} is with agent {found.agent}, not {agent.name}")
    pin = Pin(found.prompt_name, found.prompt_version, found.prompt_digest)
    if pin.digest not in agent.prompts:
        raise PromptChanged(
            f"conversation {conversation_id} began with prompt {pin.name}@{pin.version} as it was then "
            f"(digest {pin.digest[:12]}…); that text is gone: put it back, and new text into a new version"
        )

    def said(tx: Tx) -> Turn:
        messages = history(tx, conversation_id)
        return _turn(agent, asked.caller, turn_id, conversation_id, found.turns, pin, text, messages)

    return store.read(said)


def _may_go_on(found: Conversation, caller: Caller) -> bool:
    """A conversation is its tenant's; one user of it does not go on with another's."""
    return found.tenant == caller.tenant and (None in (found.user, caller.user) or found.user == caller.user)


def _unicode(text: str) -> str:
    """Without the lone surrogates that a terminal or a shell can put into it: no store and no provider takes them."""
    return text.encode(errors="replace").decode()


def _turn(
    agent: Agent,
    caller: Caller,
    turn_id: str,
    conversation_id: str,
    ordinal: int,
    pin: Pin,
    text: str,
    messages: tuple[Message, ...],
) -> Turn:
    return Turn(
        id=turn_id,
        conversation_id=conversation_id,
        ordinal=ordinal,
        agent=agent.name,
        caller=caller,
        prompt=pin,
        input=text,
        history=messages,
        bounds=agent.bounds,
        deadline=time.monotonic() + agent.bounds.deadline_seconds,
    )


def begin(turn: Turn, traceparent: str | None) -> Begin:
    return Begin(
        turn=turn.id,
        conversation=turn.conversation_id,
        ordinal=turn.ordinal,
        caller=turn.caller,
        agent=turn.agent,
        prompt_name=turn.prompt.name,
        prompt_version=turn.prompt.version,
        prompt_digest=turn.prompt.digest,
        input=turn.input,
        deadline=int(turn.bounds.deadline_seconds * 1e6),
        traceparent=traceparent,
    )
