"""The journal of one turn: its steps as rows, written with what else has to be in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import orjson

from agent.money.account import Granted, Refused
from agent.store.store import Store
from agent.store.tx import Row
from agent.store.work import Begin, Conflict, Fence, Finish, Known, Reserve, Settle, StepRow, Work
from agent.to_its_end import to_its_end
from agent.turn import End, ModelStep, Step, ToolStep, Turn
from agent.types import Message, ToolCall, ToolResult

State: TypeAlias = Literal["started", "answered", "unknown"]


class TakenOver(Exception):
    """Another process has taken the turn over: this one may write no more of it."""


class NotBegun(Exception):
    """The turn was not accepted; `Conflict` says why, `Done` what goes with which."""

    def __init__(self, conflict: Conflict, known: Known | None, retry_after: float | None) -> None:
        super().__init__(conflict)
        self.conflict = conflict
        self.known = known
        self.retry_after = retry_after


class Journal:
    """Writes a turn's steps, each once. `begin` is written with the first of them where the turn is a new one.

    `unsettled`: the end of an attempt that is still to be booked; whatever is written next books it, too. `ended`: the
    end that is in the store.
    """

    def __init__(self, store: Store, fence: Fence, begin: Begin | None = None, written: Sequence[Step] = ()) -> None:
        self._store = store
        self._fence = fence
        self._begin = begin
        self._written = {step.key: _state(step) for step in written}
        self.unsettled: Settle | None = None
        self.ended: End | None = None

    async def write(
        self, turn: Turn, *, reserve: Reserve | None = None, end: End | None = None
    ) -> Granted | Refused | None:
        """Commits all of the turn that is not in the store yet, with a new hold, or the turn's end.

        Raises `TakenOver`, `NotBegun` and `StoreError`; what was unsettled is booked or will be in any case. Who is
        cancelled while the end is written hears of it when it is known whether the turn has ended.
        """
        fresh = [
            (place, step, state)
            for place, step in enumerate(turn.steps)
            if self._written.get(step.key) != (state := _state(step))
        ]
        work = Work(
            fence=self._fence,
            begin=self._begin,
            settle=self.unsettled,
            steps=tuple([self._row(*new) for new in fresh]),
            reserve=reserve,
            finish=None if end is None else _finish(end),
        )
        # Now, not when it is done: who is cancelled meanwhile hands in the turn's end behind it. Whoever hears of a
        # failure writes no more.
        self._begin = self.unsettled = None
        self._written.update({step.key: state for _, step, state in fresh})
        return await self._commit(work) if end is None else await to_its_end(self._commit(work, end))

    async def _commit(self, work: Work, end: End | None = None) -> Granted | Refused | None:
        done = await self._store.do(work)
        if done.conflict:  # before the fence: a turn that was never begun has none that could stand
            raise NotBegun(done.conflict, done.known, done.retry_after)
        if done.fenced:
            raise TakenOver
        self.ended = end
        return done.grant

    async def settle(self) -> None:
        """Books the last attempt of a turn that goes no further here."""
        settle, self.unsettled = self.unsettled, None
        if settle:
            await self._store.do(Work(settle=settle))

    def _row(self, position: int, step: Step, state: State) -> StepRow:
        return StepRow(
            turn=self._fence.turn,
            key=step.key,
            position=position,
            epoch=self._fence.epoch,
            kind="model" if isinstance(step, ModelStep) else "tool",
            state=state,
            answer=None if state == "started" else _answer(step),
            started_at=step.began,
            answered_at=step.ended,
            answers=step.key in self._written,
        )


def _finish(end: End) -> Finish:
    return Finish(end.outcome, end.text, end.reason, None if end.refused is None else end.refused.detail())


def _state(step: Step) -> State:
    if isinstance(step, ToolStep) and step.result is None:
        return "started"
    return "unknown" if isinstance(step, ToolStep) and step.unknown else "answered"


def _answer(step: Step) -> str:
    if isinstance(step, ToolStep):
        assert step.result is not None
        return orjson.dumps({"content": step.result.content, "error_type": step.result.error_type}).decode()
    return orjson.dumps(
        {
            "content": step.message.content,
            "tool_calls": [[call.id, call.name, call.arguments] for call in step.message.tool_calls],
            "finish_reasons": step.finish_reasons,
            "model": step.model,
            "closing": step.closing,
            "dropped": step.dropped,
        }
    ).decode()


def read(rows: Sequence[Row], columns: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a turn from its journal rows, in order."""
    steps: list[Step] = []
    models: dict[str, ModelStep] = {}
    for row in rows:
        fields = dict(zip(columns, row, strict=True))
        key, answer = str(fields["key"]), orjson.loads(str(fields["answer"])) if fields["answer"] else None
        began, ended = fields["started_at"], fields["answered_at"]
        assert isinstance(began, int)
        if fields["kind"] == "model":
            assert isinstance(ended, int)
            steps.append(models.setdefault(key, _model_step(key, answer, began, ended)))
        else:
            assert ended is None or isinstance(ended, int)
            model, _, index = key.partition(".t")
            call = models[model].message.tool_calls[int(index)]
            result = answer and ToolResult(call, answer["content"], answer["error_type"])
            steps.append(ToolStep(key, call, began, result, ended, fields["state"] == "unknown"))
    return tuple(steps)


def _model_step(key: str, answer: Any, began: int, ended: int) -> ModelStep:
    message = Message("assistant", answer["content"], tuple(ToolCall(*call) for call in answer["tool_calls"]))
    return ModelStep(
        key=key,
        message=message,
        finish_reasons=tuple(answer["finish_reasons"]),
        model=answer["model"],
        began=began,
        ended=ended,
        closing=answer["closing"],
        dropped=answer["dropped"],
    )
