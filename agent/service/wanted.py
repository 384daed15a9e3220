"""A request as what is asked of the app: which agent, what, by whom, in which conversation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.datastructures import Headers

from agent.opening import Asked
from agent.service import history
from agent.service.auth import Identity
from agent.service.errors import ApiError, bad_request
from agent.service.request import ChatRequest, parse
from agent.service.service import Service
from agent.store.work import Key

CONVERSATION = "x-conversation-id"
_KEY_LENGTH = 255
_CONVERSATION_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """`ignored`: names of what the client said and what was not used; `messages` for those before the last where the
    conversation is the server's."""

    agent: str
    asked: Asked
    stream: bool
    include_usage: bool
    traceparent: str | None
    ignored: tuple[str, ...]


def wanted(service: Service, identity: Identity, headers: Headers, body: bytes) -> Wanted:
    """Raises `ApiError`."""
    parsed = parse(body)
    request = parsed.request
    allow_agent(service, identity, request.model)
    conversation = _conversation(headers, request)
    if not service.app.config.agents.agents[request.model].client_system_messages:
        history.refuse_system(request.messages)
    text = history.question(request.messages)
    before = () if conversation else history.earlier(request.messages)
    passed_over = ("messages",) if conversation and request.messages[1:] else ()
    key = _key(headers, body, identity.caller.user)
    options = request.stream_options
    return Wanted(
        agent=request.model,
        asked=Asked(
            text=text,
            caller=identity.caller,
            conversation=conversation,
            before=before,
            max_output_tokens=request.cap(),
            key=key,
            pace=identity.pace,
        ),
        stream=bool(request.stream),
        include_usage=bool(options and options.include_usage),
        traceparent=headers.get("traceparent"),
        ignored=tuple(sorted((*parsed.ignored, *passed_over))),
    )


def allow_agent(service: Service, identity: Identity, name: str) -> None:
    """Raises `ApiError` (403, 404)."""
    if name not in service.app.agents:
        there = ", ".join(agent for agent in sorted(service.app.agents) if identity.may_ask(agent))
        raise ApiError(404, "model_not_found", f"There is no such agent; there is {there}.", param="model")
    if not identity.may_ask(name):
        raise ApiError(403, "agent_not_allowed", f"This key may not ask the agent {name}.", param="model")


def _conversation(headers: Headers, request: ChatRequest) -> str | None:
    inside = request.metadata.conversation_id if request.metadata else None
    given = headers.get(CONVERSATION, inside)
    if inside and given != inside:
        raise bad_request(f"`metadata.conversation_id` and the header {CONVERSATION} differ.", "metadata")
    if given is not None and not 0 < len(given) <= _CONVERSATION_LENGTH:
        raise bad_request(f"`{CONVERSATION}` must have 1 to {_CONVERSATION_LENGTH} characters.")
    return given


def _key(headers: Headers, body: bytes, user: str | None) -> Key | None:
    """The client's Idempotency-Key, with what it may be used for again: this body in this conversation. Users behind
    one key of ours have keys of their own."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    if not 0 < len(given) <= _KEY_LENGTH:
        raise bad_request(f"`Idempotency-Key` must have 1 to {_KEY_LENGTH} characters.")
    content = headers.get(CONVERSATION, "").encode() + b"\0" + body
    value = given if user is None else f"{given}\n{user}"  # no header can have a line's end in it
    return Key(value, hashlib.sha256(content).hexdigest())
