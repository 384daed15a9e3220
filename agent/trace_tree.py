"""A turn as a tree, read from its journal and the ledger: what a trace shows, and for as long as the store lasts.

It needs no telemetry back end, and works for turns that are not finished and for those whose content was erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import orjson

from agent.store import accounts, steps, traces, turns
from agent.store.traces import Booked, Held, Process
from agent.store.tx import Tx

SHORTEST = 8
"""Characters that the beginning of an id must have at least."""

_ID_CHARACTERS = frozenset("0123456789abcdef-")


class NoSuchTurn(LookupError):
    """No turn is meant by this id, or more than one; the message says which."""


@dataclass(frozen=True, slots=True)
class AttemptNode:
    """One HTTP request. `ended` is None while it is under way; then the cost is what is held. `kind`: `attempt`,
    `release` (never billed), `expiry` (charged at its bound because its process died) or `open`. `corrected`: its true
    cost came in after that. Here and below: Unix microseconds and nano-dollars; tokens are None where nobody knows."""

    number: int
    kind: str
    began: int
    ended: int | None
    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    quality: str
    cost: int
    error_type: str | None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class ChatNode:
    """A question to one model, for the step that its reply became, or would have become."""

    step: str
    epoch: int
    call: str
    provider: str
    model: str
    attempts: tuple[AttemptNode, ...]

    @property
    def began(self) -> int:
        return self.attempts[0].began

    @property
    def ended(self) -> int | None:
        return self.attempts[-1].ended

    @property
    def cost(self) -> int:
        return sum(attempt.cost for attempt in self.attempts)

    @property
    def error_type(self) -> str | None:
        return self.attempts[-1].error_type

    def tokens(self) -> tuple[int | None, int | None]:
        """Input and output, of all attempts for which they are known."""
        return (
            _sum(attempt.input_tokens for attempt in self.attempts),
            _sum(attempt.output_tokens for attempt in self.attempts),
        )


@dataclass(frozen=True, slots=True)
class ToolNode:
    """A tool call. `name` is None where the content was erased. `state`: started, answered or unknown."""

    step: str
    epoch: int
    name: str | None
    state: str
    began: int
    ended: int | None
    error_type: str | None


Node: TypeAlias = ChatNode | ToolNode


@dataclass(frozen=True, slots=True)
class TurnTree:
    """A turn and what was done in it, in order. `state`: queued, running or done. `processes` are those that made its
    calls: more than one where it was taken over. Tokens are those that providers stated."""

    turn_id: str
    conversation_id: str
    trace_id: str | None
    agent: str
    prompt_name: str
    prompt_version: str
    state: str
    outcome: str | None
    epoch: int
    began: int
    ended: int | None
    erased: bool
    nodes: tuple[Node, ...]
    processes: tuple[Process, ...]
    input_tokens: int | None
    output_tokens: int | None
    cost: int


def find(tx: Tx, wanted: str) -> str:
    """The id of the turn that is meant by its id, the beginning of it, its trace id or its conversation's id.

    Raises `NoSuchTurn`."""
    wanted = wanted.strip().lower()
    if len(wanted) < SHORTEST or not set(wanted) <= _ID_CHARACTERS:
        raise NoSuchTurn(f"{wanted!r} is no id of a turn, and not the first {SHORTEST} characters of one")
    found = traces.find(tx, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchTurn(f"no turn, trace or conversation {wanted}")
    raise NoSuchTurn(f"{wanted} may be any of {', '.join(found)}")


def read(tx: Tx, turn_id: str) -> TurnTree:
    """The tree of a turn that is there."""
    row = turns.read_turn(tx, turn_id)
    assert row
    fields = dict(zip(turns.TURN_COLUMNS, row, strict=True))
    booked = traces.booked(tx, turn_id)
    calls = [*_calls(booked), *map(_open_call, traces.held(tx, turn_id))]
    nodes: list[Node] = [*_joined(calls), *_tools(tx, turn_id)]
    reported = [row for row in booked if row.quality != "estimated"]
    traceparent = fields["traceparent"]
    return TurnTree(
        turn_id=turn_id,
        conversation_id=str(fields["conversation"]),
        trace_id=str(traceparent).split("-")[1] if traceparent else None,
        agent=str(fields["agent"]),
        prompt_name=str(fields["prompt_name"]),
        prompt_version=str(fields["prompt_version"]),
        state=str(fields["state"]),
        outcome=None if fields["outcome"] is None else str(fields["outcome"]),
        epoch=_int(fields["epoch"]),
        began=_int(fields["begun_at"]),
        ended=None if fields["ended_at"] is None else _int(fields["ended_at"]),
        erased=fields["input"] is None,
        nodes=tuple(sorted(nodes, key=_place)),
        processes=tuple(traces.processes(tx, turn_id)),
        input_tokens=_sum(row.input_tokens for row in reported),
        output_tokens=_sum(row.output_tokens for row in reported),
        cost=sum(row.cost for row in booked),
    )


def _calls(booked: Sequence[Booked]) -> Iterable[ChatNode]:
    """One node for each attempt; the rows of an attempt are its first one and its corrections."""
    by_attempt: dict[str, list[Booked]] = {}
    for row in booked:
        by_attempt.setdefault(row.attempt, []).append(row)
    for rows in by_attempt.values():
        first, last = rows[0], rows[-1]
        attempt = AttemptNode(
            number=first.number,
            kind=first.kind,
            began=first.at,
            ended=last.ended,
            response_model=last.response_model,
            input_tokens=last.input_tokens,
            output_tokens=last.output_tokens,
            quality=last.quality,
            cost=sum(row.cost for row in rows),
            error_type=None if last.outcome == "ok" else last.outcome,
            corrected=len(rows) > 1,
        )
        yield ChatNode(first.step, first.epoch, first.call, first.provider, first.model, (attempt,))


def _open_call(held: Held) -> ChatNode:
    call, number, _ = accounts.read_dims(held.dims)
    attempt = AttemptNode(number, "open", held.at, None, None, None, None, "unknown", held.bound, None)
    return ChatNode(held.step, held.epoch, call.id, call.provider, call.model, (attempt,))


def _joined(calls: Iterable[ChatNode]) -> Iterable[ChatNode]:
    """Attempts of one call under one node."""
    for _, group in groupby(sorted(calls, key=lambda chat: (chat.call, chat.attempts[0].number)), lambda c: c.call):
        first, *others = group
        attempts = (*first.attempts, *(attempt for chat in others for attempt in chat.attempts))
        yield ChatNode(first.step, first.epoch, first.call, first.provider, first.model, attempts)


def _tools(tx: Tx, turn_id: str) -> Iterable[ToolNode]:
    rows = [dict(zip(steps.COLUMNS, row, strict=True)) for row in steps.read(tx, turn_id)]
    answers = {str(row["key"]): orjson.loads(str(row["answer"])) for row in rows if row["answer"]}
    for row in rows:
        if row["kind"] == "tool":
            key = str(row["key"])
            yield ToolNode(
                step=key,
                epoch=_int(row["epoch"]),
                name=_tool_name(answers, key),
                state=str(row["state"]),
                began=_int(row["started_at"]),
                ended=None if row["answered_at"] is None else _int(row["answered_at"]),
                error_type=answers[key]["error_type"] if key in answers else None,
            )


def _tool_name(answers: Mapping[str, dict[str, list[list[str]]]], key: str) -> str | None:
    model, _, index = key.partition(".t")
    return answers[model]["tool_calls"][int(index)][1] if model in answers else None


def _place(node: Node) -> tuple[int, int, int]:
    """A step's calls come before its tools: the times of both are from different clocks."""
    model, _, index = node.step.removeprefix("m").partition(".t")
    return (int(model), int(index) + 1, 0) if index else (int(model), 0, node.began)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
