"""What an attempt is charged: by what its provider said, and at the bound that was held where it did not say."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from agent.models.estimate import count
from agent.models.protocol import Billed
from agent.money.account import Granted
from agent.money.tariff import UNPRICED, Tariff
from agent.store.work import Settle
from agent.types import Reply
from telemetry.attempt import Attempt, Call
from telemetry.pricing import Cost
from telemetry.usage import Usage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hold:
    """What was granted to attempt `number` (from 1) of a call."""

    id: str
    number: int
    granted: Granted


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. `reply` is what arrived, complete or not; `error_type` is None where it was a reply.
    `started` in Unix microseconds, `duration` in seconds."""

    started: int
    duration: float
    reply: Reply | None
    error_type: str | None = None
    billed: Billed = "maybe"


def settle(
    call: Call, hold: Hold, ended: Ended, measured: Cost | None, estimate: Usage | None, span: tuple[str, str]
) -> Settle:
    """The end of a hold. `span` are the trace and span ids of the call, in hex."""
    reply, bound = ended.reply, hold.granted.bound
    usage, cost = (reply.usage if reply else None), measured
    if cost is None and ended.billed == "no":
        cost = Cost(0, "measured", "not billed")
    if cost is None:
        usage = usage or estimate
        cost = Cost(bound, "estimated" if estimate else "unknown", "bound")
    if cost is UNPRICED:
        log.warning(
            "attempt %s: another model than %s, which is free, has answered; nobody knows its price",
            hold.id,
            call.model,
        )
    attempt = Attempt(
        id=hold.id,
        call=call,
        number=hold.number,
        started=ended.started,
        ended=ended.started + int(ended.duration * 1e6),
        duration=ended.duration,
        held_nano_usd=bound,
        cost=cost,
        usage=usage,
        response_id=reply.response_id if reply else None,
        response_model=reply.response_model if reply else None,
        finish_reasons=reply.finish_reasons if reply else (),
        service_tier=reply.service_tier if reply else None,
        system_fingerprint=reply.system_fingerprint if reply else None,
        first_chunk=reply.first_chunk if reply else None,
        chunk_gaps=reply.chunk_gaps if reply else (),
        error_type=ended.error_type,
        trace_id=span[0],
        span_id=span[1],
    )
    return Settle(attempt, "release" if cost.source == "not billed" else "attempt")


def measured(tariff: Tariff, at: datetime, reply: Reply | None) -> Cost | None:
    """What a reply costs, at the prices of `at`, by what its provider said; None where that can't be known."""
    if reply is None:
        return None
    return tariff.charge(reply.usage, reply.stated_usd, reply.response_model, reply.service_tier, at)


async def estimated(reply: Reply | None) -> Usage | None:
    """What had been produced before the usage was lost. Counting loads an encoding once: not on the event loop."""
    if reply is None or reply.usage_stated:
        return None  # what the provider said contradicts itself or has no price: nobody can say
    said = [reply.message.content, *(part for call in reply.message.tool_calls for part in (call.name, call.arguments))]
    text = "".join(said)
    return Usage(None, await asyncio.to_thread(count, text)) if text else None
