"""A new turn: its place in its conversation, the prompt version that it gets, what was said before."""

from __future__ import annotations

import time
from dataclasses import dataclass

import uuid_utils

from agent.config import Bounds
from agent.config.load import Config
from agent.journal import NotBegun
from agent.memory import given
from agent.memory.given import Given
from agent.memory.window import history
from agent.runtime import Agent
from agent.store import conversations
from agent.store.conversations import Conversation
from agent.store.store import Store
from agent.store.tx import Tx
from agent.store.work import Begin, Key, Pace
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


class TurnKnown(CallerError):
    """The caller's key has begun `turn` already, when what was asked had this `digest`."""

    def __init__(self, turn: str, digest: str) -> None:
        super().__init__(f"this key has already begun turn {turn}")
        self.turn = turn
        self.digest = digest


class TooFast(CallerError):
    """The caller begins too many turns a minute; in `retry_after` seconds it may begin one."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many turns were begun in the last minute; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class TooMany(CallerError):
    """The caller has too many turns open."""

    def __init__(self) -> None:
        super().__init__("too many turns are open; try again when one has ended")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants. `conversation` goes on with an earlier one. `before`: messages that a client keeps itself,
    said after those of the conversation. `max_output_tokens` lowers the turn's bound, never raises it. `key`: the same
    one begins the same turn once. `pace`: how fast this caller may begin turns."""

    text: str
    caller: Caller
    conversation: str | None = None
    before: tuple[Message, ...] = ()
    max_output_tokens: int | None = None
    key: Key | None = None
    pace: Pace | None = None


async def opening(config: Config, agent: Agent, store: Store, asked: Asked) -> Turn:
    """The turn, not accepted yet. Raises `CallerError`."""
    if asked.conversation is None:
        version = config.newest_prompt(config.agents.agents[agent.name].prompt)
        pin = Pin(version.name, str(version.version), version.digest)
        return _turn(agent, asked, str(uuid_utils.uuid7()), 0, pin, ())
    found, pin = await earlier(agent, store, asked.conversation, asked.caller)

    def said(tx: Tx) -> Turn:
        messages = history(tx, found.id)
        return _turn(agent, asked, found.id, found.turns, pin, messages)

    return await store.read(said)


async def earlier(agent: Agent, store: Store, conversation: str, caller: Caller) -> tuple[Conversation, Pin]:
    """The conversation that the caller wants to go on with, and its prompt. Raises `CallerError`."""
    conversation_id = _unicode(conversation)
    found = await store.read(lambda tx: conversations.read(tx, conversation_id))
    if found is None or found.erased_at or not caller.may_see(found.tenant, found.user):
        raise NoSuchConversation(f"no conversation {conversation_id}")
    if found.agent != agent.name:
        raise NoSuchConversation(f"conversation {conversation_id} is with agent {found.agent}, not {agent.name}")
    pin = Pin(found.prompt_name, found.prompt_version, found.prompt_digest)
    if pin.digest not in agent.prompts:
        raise PromptChanged(
            f"conversation {conversation_id} began with prompt {pin.name}@{pin.version} as it was then "
            f"(digest {pin.digest[:12]}…); that text is gone: put it back, and new text into a new version"
        )
    return found, pin


def _unicode(text: str) -> str:
    """Without the lone surrogates that a terminal or a shell can put into it: no store and no provider takes them."""
    return text.encode(errors="replace").decode()


def _turn(
    agent: Agent, asked: Asked, conversation_id: str, ordinal: int, pin: Pin, messages: tuple[Message, ...]
) -> Turn:
    bounds = capped(agent.bounds, asked.max_output_tokens)
    return Turn(
        id=str(uuid_utils.uuid7()),
        conversation_id=conversation_id,
        ordinal=ordinal,
        agent=agent.name,
        caller=asked.caller,
        prompt=pin,
        input=_unicode(asked.text),
        history=(*messages, *asked.before),
        bounds=bounds,
        deadline=time.monotonic() + bounds.deadline_seconds,
    )


def capped(bounds: Bounds, max_output_tokens: int | None) -> Bounds:
    """Never with a higher cap than the agent's own."""
    if max_output_tokens is None or max_output_tokens >= bounds.output_tokens:
        return bounds
    return bounds.model_copy(update={"output_tokens": max_output_tokens})


def begin(turn: Turn, asked: Asked, traceparent: str | None) -> Begin:
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
        request=given.write(Given(asked.before, asked.max_output_tokens)),
        key=asked.key,
        pace=asked.pace,
    )


def declined(asked: Asked, why: NotBegun) -> CallerError:
    """What a caller hears of a turn that was not begun."""
    if why.conflict == "known":
        assert why.known
        return TurnKnown(why.known.turn, why.known.digest)
    if why.conflict == "rate":
        assert why.retry_after is not None
        return TooFast(why.retry_after)
    if why.conflict == "crowded":
        return TooMany()
    return ConversationBusy(f"another turn is open in conversation {asked.conversation}; try again when it has ended")
