"""The ledger's rows: one for every attempt, chained per writer by a digest, never edited."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

import orjson
from sqlalchemy import bindparam, insert, select, update

from agent.money.account import Line
from agent.store import totals
from agent.store.accounts import read_lines
from agent.store.tables import ledger, writer
from agent.store.tx import IDS, Tx, Value
from telemetry.attempt import Attempt
from telemetry.usage import Usage

_FORMAT_1 = """
attempt kind corrects at ended tenant user_id conversation turn step epoch call number agent provider model
response_model service_tier prompt_name prompt_version prompt_digest input_tokens cache_read_tokens cache_write_tokens
output_tokens reasoning_tokens modalities unit_prices price_source price_effective quality cost book_cost tokens bound
outcome charges trace_id span_id reason made_by format writer n
"""

FORMAT = 1
FORMATS = {1: tuple(_FORMAT_1.split())}
"""The columns that a row's digest covers, by the row's format. A column that comes later needs a format of its own: the
digests of the rows that are there must not change."""

_DIGESTED = itemgetter(*FORMATS[FORMAT])

_INSERT = insert(ledger).values({name: bindparam(name) for name in (*FORMATS[FORMAT], "digest")})
_OF_ATTEMPTS = (
    select(ledger.c.attempt, ledger.c.id, ledger.c.kind, ledger.c.at, ledger.c.cost, ledger.c.tokens, ledger.c.charges)
    .where(ledger.c.attempt.in_(bindparam(IDS, expanding=True)))
    .order_by(ledger.c.id)
)
_NEW_WRITER = insert(writer).values(id=bindparam("id"), n=0, digest=bindparam("digest"))
_HEAD = select(writer.c.n, writer.c.digest).where(writer.c.id == bindparam("writer"))
_MOVE_HEAD = (
    update(writer).where(writer.c.id == bindparam("writer")).values(n=bindparam("n"), digest=bindparam("digest"))
)

GENESIS = hashlib.sha256(b"").hexdigest()


def new_writer(tx: Tx, writer_id: str) -> None:
    tx.rows(_NEW_WRITER, {"id": writer_id, "digest": GENESIS})


Head: TypeAlias = tuple[int, str]
"""How many rows a writer's chain has, and the digest of the last one."""


def head(tx: Tx, writer_id: str) -> Head:
    [(n, digest)] = tx.rows(_HEAD, {"writer": writer_id})
    assert isinstance(n, int)
    assert isinstance(digest, str)
    return n, digest


def append(tx: Tx, writer_id: str, rows: Sequence[dict[str, Value]], head: Head) -> Head:
    """Adds rows to a writer's chain: `digest = sha256(previous || row as a JSON array in the order of its format)`.
    Its new head."""
    n, digest = head
    for row in rows:
        n += 1
        row["writer"], row["n"] = writer_id, n
        digest = row["digest"] = link(digest, _DIGESTED(row))
    tx.each(_INSERT, rows)
    totals.add(tx, rows)
    tx.rows(_MOVE_HEAD, {"writer": writer_id, "n": n, "digest": digest})
    return n, digest


def link(previous: str, values: Sequence[Value]) -> str:
    return hashlib.sha256(previous.encode() + orjson.dumps(values)).hexdigest()


@dataclass(frozen=True, slots=True)
class Booked:
    """What a row of the ledger says of an attempt."""

    id: int
    kind: str
    at: int
    cost: int
    tokens: int
    charges: str

    def lines(self) -> tuple[Line, ...]:
        return read_lines(self.charges)


def booked(tx: Tx, attempts: Sequence[str]) -> dict[str, list[Booked]]:
    """What the ledger has of these attempts, in the order it was written."""
    found: dict[str, list[Booked]] = {}
    for attempt, *rest in tx.among(_OF_ATTEMPTS, attempts):
        found.setdefault(str(attempt), []).append(Booked(*rest))  # type: ignore[arg-type]
    return found


def charges(lines: Sequence[Line], seqs: Sequence[int]) -> str:
    """`[counter, asked, seq in, limit in force, unit, seq out]` for each line, as JSON text."""
    return orjson.dumps(
        [
            [line.counter, line.asked, line.seq, line.limit, line.unit, seq]
            for line, seq in zip(lines, seqs, strict=True)
        ]
    ).decode()


def counted(usage: Usage | None) -> int:
    """Tokens of input and output together; none where nobody has counted."""
    return (usage.input_tokens or 0) + (usage.output_tokens or 0) if usage else 0


def row(attempt: Attempt, *, kind: str, at: int, tokens: int, line_charges: str) -> dict[str, Value]:
    """A ledger row of an attempt. `at` is the time that admitted it: it picks every window."""
    call, cost, usage = attempt.call, attempt.cost, attempt.usage
    return {
        "attempt": attempt.id,
        "kind": kind,
        "corrects": None,
        "at": at,
        "ended": attempt.ended,
        "tenant": call.tenant or "",
        "user_id": call.user,
        "conversation": call.conversation_id,
        "turn": call.turn_id,
        "step": call.step,
        "epoch": call.epoch,
        "call": call.id,
        "number": attempt.number,
        "agent": call.agent,
        "provider": call.provider,
        "model": call.model,
        "response_model": attempt.response_model,
        "service_tier": attempt.service_tier,
        "prompt_name": call.prompt_name,
        "prompt_version": call.prompt_version,
        "prompt_digest": call.prompt_digest,
        "input_tokens": usage.input_tokens if usage else None,
        "cache_read_tokens": usage.cache_read_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "modalities": orjson.dumps(usage.by_modality).decode() if usage and usage.by_modality else None,
        "unit_prices": orjson.dumps(cost.unit_prices).decode() if cost.unit_prices else None,
        "price_source": cost.source,
        "price_effective": cost.effective,
        "quality": cost.quality,
        "cost": cost.nano_usd,
        "book_cost": cost.book_nano_usd,
        "tokens": tokens,
        "bound": attempt.held_nano_usd,
        "outcome": attempt.error_type or "ok",
        "charges": line_charges,
        "trace_id": attempt.trace_id,
        "span_id": attempt.span_id,
        "reason": None,
        "made_by": None,
        "format": FORMAT,
    }
