"""A turn as whoever asks for it later is told of it."""

from __future__ import annotations

from dataclasses import replace

from agent.store import turn_status
from agent.store.store import Store
from agent.store.tables import hold
from agent.store.work import Fence, Finish, Settle, Work
from agent.types import Caller
from telemetry.pricing import Cost
from telemetry.usage import Usage
from tests.support.works import begin, opened, reserve, settle

FENCE = Fence("t1", 1)


def of_model(ended: Settle, model: str, usage: Usage | None = None) -> Settle:
    attempt = replace(ended.attempt, call=replace(ended.attempt.call, model=model), usage=usage)
    return replace(ended, attempt=attempt)


async def status(store: Store, turn: str = "t1") -> turn_status.TurnStatus | None:
    return await store.read(lambda tx: turn_status.read(tx, turn))


async def test_there_is_none(store: Store) -> None:
    assert await status(store) is None


async def test_one_that_has_just_begun(store: Store) -> None:
    asked = replace(begin("t1"), caller=Caller("acme", "u1", "anna"), traceparent="00-f-e-01")
    done = await store.do(Work(FENCE, begin=asked))
    found = await status(store)
    assert found == turn_status.TurnStatus(
        turn="t1",
        conversation="c1",
        tenant="acme",
        user="u1",
        caller_key="anna",
        agent="desk",
        state="running",
        outcome=None,
        prompt_name="desk",
        prompt_version="1",
        begun_at=done.at,
        ended_at=None,
        traceparent="00-f-e-01",
        text=None,
        reason=None,
        detail=None,
        input_tokens=None,
        output_tokens=None,
        cache_read_tokens=None,
        reasoning_tokens=None,
        cost=0,
        models=(),
    )


async def test_one_that_has_ended(store: Store) -> None:
    """Two models, the second one first by name; an attempt that nobody measured, and one of another turn."""
    await store.do(opened("t1", "a1", None))
    usage = Usage(100, 20, cache_read_tokens=50, reasoning_tokens=5)
    for n, ended in enumerate(
        [
            of_model(settle("a1", "t1", 300), "zeta", usage),
            of_model(settle("a2", "t1", 30), "alpha", Usage(10, 2)),
            of_model(settle("a3", "t1", 3), "zeta", Usage(1, 1)),
        ]
    ):
        await store.do(Work(FENCE, settle=ended, reserve=reserve(f"a{n + 2}", "t1", None)))
    lost = settle("a4", "t1", 1000)
    guessed = replace(lost.attempt, cost=Cost(1000, "estimated", "bound"), usage=Usage(None, 700))
    end = Finish("answered", "Hello.", "none", {"n": 1})
    done = await store.do(Work(FENCE, settle=replace(lost, attempt=guessed), finish=end))
    await store.do(opened("t2", "b1", None))
    await store.do(Work(settle=settle("b1", "t2", 9)))
    found = await status(store)
    assert found
    assert (found.state, found.outcome, found.ended_at) == ("done", "answered", done.at)
    assert (found.text, found.reason, found.detail) == ("Hello.", "none", {"n": 1})
    tokens = (found.input_tokens, found.output_tokens, found.cache_read_tokens, found.reasoning_tokens)
    assert tokens == (111, 23, 50, 5)
    assert found.cost == 1333
    assert found.models == ("zeta", "alpha", "small")


async def test_an_expired_attempt_counts_at_its_bound_and_measures_nothing(store: Store) -> None:
    await store.do(opened("t1", "a1", None))
    store.pulse(lambda tx: tx.rows(hold.update().values(lease=0)))
    await store.expire()
    found = await status(store)
    assert found
    assert (found.cost, found.input_tokens, found.models) == (1100, None, ("small",))
    await store.do(Work(settle=settle("a1", "t1", 321)))
    found = await status(store)
    assert found
    assert (found.cost, found.input_tokens) == (321, 40)
