"""One model call: route -> reserve -> attempts -> settle.

Each attempt has a hold before it is made and one ledger row after it. Between two attempts one transaction ends the
old hold and makes the new one. The last attempt is not settled here but with the journal rows that follow from it.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace

import uuid_utils

from agent import capture, charge
from agent.charge import Ended, Hold
from agent.conversing import Conversing
from agent.journal import Journal
from agent.models import retries, routes
from agent.models.failures import broken
from agent.models.input_bound import counted
from agent.models.protocol import Arrived, Billed, CallFailed
from agent.money.account import Granted, Refused, turn_limit
from agent.question import Question, question
from agent.runtime import Agent, Target
from agent.store.accounts import dims
from agent.store.work import Reserve, Settle
from agent.turn import Ask, Turn
from agent.types import Emit, Reply, Retrying, TextDelta
from telemetry.attempt import Attempt
from telemetry.spans import ChatSpan


@dataclass(frozen=True, slots=True)
class Called:
    """How a call ended: a reply of `model`, or what stood in its way. `began`: Unix microseconds. `fallen`: the models
    of the chain before it, and why they gave no reply."""

    model: str
    began: int
    reply: Reply | None = None
    failure: CallFailed | None = None
    refused: Refused | None = None
    fallen: tuple[str, ...] = ()


async def call(agent: Agent, turn: Turn, ask: Ask, journal: Journal, so_far: Conversing, emit: Emit) -> Called:
    """Asks the models of the chain until one replies or none may be asked. Raises what the journal raises.

    However it ends, what its last attempt cost is in `journal.unsettled`.
    """
    calling = _Calling(agent, turn, ask, journal, so_far, emit)
    try:
        return await calling.run()
    finally:
        agent.services.pulse.live.difference_update(calling.holds)


class _Calling:
    """A call under way. `holds` are the attempts that it was granted."""

    def __init__(self, agent: Agent, turn: Turn, ask: Ask, journal: Journal, so_far: Conversing, emit: Emit) -> None:
        self.agent = agent
        self.turn = turn
        self.ask = ask
        self.journal = journal
        self.so_far = so_far
        self.emit = emit
        self.telemetry = agent.services.telemetry
        self.holds: list[str] = []

    async def run(self) -> Called:
        """Goes along the chain. A fallback to another model is a call of its own, with a span of its own."""
        index = 0
        fallen: tuple[str, ...] = ()
        while True:
            called = await self._one_model(self.agent.chain[index])
            following = self._following(index, called)
            if following is None:
                return replace(called, fallen=fallen) if fallen else called
            await self._tell_fallback(index, following, called)
            index, fallen = following, (*fallen, f"{called.model}: {called.failure}")

    def _following(self, index: int, called: Called) -> int | None:
        if called.failure is None or called.refused or self._remaining() <= 0:
            return None
        return routes.next_model([target.model.config for target in self.agent.chain], index, called.failure)

    async def _tell_fallback(self, index: int, following: int, called: Called) -> None:
        assert called.failure
        before, after = self.agent.chain[index], self.agent.chain[following]
        names = (before.model.config.model, after.model.config.model)
        self.telemetry.metrics.fallback(self.agent.name, *names, called.failure.error_type)
        await self.emit(Retrying(called.failure.error_type, 0.0, after.name))

    async def _one_model(self, target: Target) -> Called:
        """A call in the narrow sense: one span. What is refused before it is made has none."""
        began = time.time_ns() // 1000
        try:
            asked = await question(self.agent, target, self.turn, self.ask, self.so_far)
        except CallFailed as failure:
            return Called(target.name, began, failure=failure)
        hold = await self._reserve(asked, number=1)
        if isinstance(hold, Refused):
            return Called(target.name, began, refused=hold)
        attempts: list[Attempt] = []
        answer = None
        with self.telemetry.spans.chat(asked.call, hold.granted.cap) as span:
            try:
                answer, refused = await self._attempts(asked, hold, attempts, span)
            finally:
                if attempts:
                    span.finish(*attempts, failure=_cause(answer) if isinstance(answer, CallFailed) else None)
                capture.of_call(self.agent, asked, answer, span)
        if isinstance(answer, Reply):
            return Called(target.name, began, reply=answer)
        return Called(target.name, began, failure=answer, refused=refused)

    async def _attempts(
        self, asked: Question, hold: Hold, attempts: list[Attempt], span: ChatSpan
    ) -> tuple[Reply | CallFailed, Refused | None]:
        """As many attempts as the model's policy, the turn's deadline and the budgets allow."""
        while True:
            answer = await self._attempt(asked, hold, attempts, span)
            wait = None if isinstance(answer, Reply) else self._wait(asked.target, hold.number, answer)
            if isinstance(answer, Reply) or wait is None:
                return answer, None
            await self.emit(Retrying(answer.error_type, wait))
            await asyncio.sleep(wait)
            again = await self._reserve(asked, hold.number + 1)
            if isinstance(again, Refused):
                return answer, again
            span.retry(answer.error_type, wait)
            self.telemetry.metrics.retry(self.agent.name, asked.call.model, answer.error_type, span.exemplar)
            hold = again

    def _wait(self, target: Target, number: int, failure: CallFailed) -> float | None:
        if not retries.retryable(failure):
            return None
        policy = target.model.config.retries
        return retries.delay(policy, number, failure.retry_after, self._remaining(), random.random)

    async def _attempt(
        self, asked: Question, hold: Hold, attempts: list[Attempt], span: ChatSpan
    ) -> Reply | CallFailed:
        """One HTTP request. Whatever happens, what it costs is known afterwards and waits in `journal.unsettled`."""
        arrived = Arrived()
        started, clock = time.time_ns() // 1000, time.perf_counter()
        ended = None
        try:
            if not await self.agent.services.pulse.guard(self._remaining()):
                raise broken("timeout", "deadline", "Out of time.", arrived, "no")
            reply = await asked.target.model.send(
                asked.draft.with_cap(hold.granted.cap),
                stream=self.so_far.stream,
                on_text=self._show,
                time_limit=max(0.0, self._remaining()),
                arrived=arrived,
            )
            ended = Ended(started, time.perf_counter() - clock, reply)
            before = self.so_far.last.get(asked.target.name)
            if last := counted(before, asked.draft, asked.input_tokens, reply):
                self.so_far.last[asked.target.name] = last
            return reply
        except CallFailed as failure:
            ended = Ended(started, time.perf_counter() - clock, failure.reply, failure.error_type, failure.billed)
            return failure
        finally:
            if ended is None:  # cancelled, or whoever is shown the text failed
                partial = arrived.reply() if arrived.anything() else None
                billed: Billed = "maybe" if arrived.sent else "no"
                ended = Ended(started, time.perf_counter() - clock, partial, "cancelled", billed)
            await self._end(asked, hold, ended, attempts, span)

    async def _end(self, asked: Question, hold: Hold, ended: Ended, attempts: list[Attempt], span: ChatSpan) -> None:
        measured = charge.measured(asked.target.tariff, asked.priced_at, ended.reply)
        estimate = None
        try:
            if measured is None and ended.billed != "no":
                estimate = await charge.estimated(ended.reply)
        finally:  # cancelled once more, while it was counting: it is booked all the same
            settle = charge.settle(asked.call, hold, ended, measured, estimate, (span.trace_id, span.span_id))
            self._record(settle, attempts, span)

    def _record(self, settle: Settle, attempts: list[Attempt], span: ChatSpan) -> None:
        """The one place from which an attempt goes to span, metrics and turn; the ledger gets the same value."""
        self.journal.unsettled = settle
        attempts.append(settle.attempt)
        self.so_far.attempts.append(settle.attempt)
        self.telemetry.metrics.attempt(settle.attempt, span.exemplar)

    async def _reserve(self, asked: Question, number: int) -> Hold | Refused:
        """Holds an attempt's upper bound; what is still unwritten or unsettled goes into the same transaction."""
        ask = Reserve(
            attempt=str(uuid_utils.uuid7()),
            turn=self.turn.id,
            step=self.ask.key,
            epoch=self.turn.epoch,
            dims=dims(asked.call, number, self.so_far.trace_id),
            input_tokens=asked.input_tokens,
            price=asked.price,
            cap=asked.cap,
            minimum=min(asked.cap, asked.target.model.config.minimal_answer),
            limits=(*self.agent.services.limits, turn_limit(self.turn.id, self.turn.bounds.usd_per_turn)),
        )
        grant = await self.journal.write(self.turn, reserve=ask)
        if isinstance(grant, Granted):
            self.holds.append(ask.attempt)
            self.agent.services.pulse.live.add(ask.attempt)
            return Hold(ask.attempt, number, grant)
        assert grant
        self.telemetry.metrics.refusal(grant.budget, "turn" if grant.budget == "turn" else "total")
        return grant

    def _remaining(self) -> float:
        return self.turn.deadline - time.monotonic()

    async def _show(self, text: str) -> None:
        await self.emit(TextDelta(text))


def _cause(failed: CallFailed) -> BaseException:
    return failed.__cause__ or failed
