"""One key is one turn: whoever asks again with it gets the answer of the first, and no second bill."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.support import books
from tests.support.serving import Answer, Desk, serving
from tests.support.until import until

ONCE = {"idempotency-key": "once"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(tmp_path) as desk:
        yield desk


def same(first: Answer, second: Answer) -> None:
    assert first.status == second.status
    assert first.body == second.body
    for name in ("x-trace-id", "x-conversation-id"):
        assert first.headers[name] == second.headers[name]


async def test_the_answer_is_stored(desk: Desk) -> None:
    first = await desk.ask(headers=ONCE)
    second = await desk.ask(headers=ONCE)
    assert first.status == 200
    same(first, second)
    assert len(desk.turns()) == len(desk.model.asked) == len(books.table(desk.store, "ledger")) == 1


async def test_another_body_or_conversation_is_another_thing(desk: Desk) -> None:
    first = await desk.ask(headers=ONCE)
    for refused in (
        await desk.ask("Something else", headers=ONCE),
        await desk.ask(headers={**ONCE, "x-conversation-id": first.headers["x-conversation-id"]}),
        await desk.ask(headers=ONCE, stream=True),
    ):
        assert (refused.status, refused.error["code"]) == (422, "idempotency_key_reused")
    assert (await desk.ask(headers={"idempotency-key": "twice"})).body["id"] != first.body["id"]
    for given in ("", "x" * 256):
        assert (await desk.ask(headers={"idempotency-key": given})).status == 400
    assert len(desk.turns()) == 2


async def test_a_turn_under_way_is_joined(desk: Desk) -> None:
    gate = desk.model.gate()
    first = asyncio.create_task(desk.ask(headers=ONCE))
    await gate.arrived()
    others = [asyncio.create_task(desk.ask(headers=ONCE)) for _ in range(3)]
    await until(lambda: desk.service.places.taken == 4)
    gate.release()
    for other in others:
        same(await first, await other)
    assert len(desk.turns()) == len(desk.model.asked) == 1


async def test_who_waits_for_a_turn_is_counted(tmp_path: Path) -> None:
    """One turn, asked for again and again, does not take every place."""
    headers = {**ONCE, "authorization": "Bearer agk_the-key"}
    async with serving(tmp_path, keys={"agk_the-key": {"concurrency": 2}}) as desk:
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask(headers=headers))
        await gate.arrived()
        again = [asyncio.create_task(desk.ask(headers=headers)) for _ in range(4)]
        (refused,), joined = await asyncio.wait(again, return_when=asyncio.FIRST_COMPLETED)
        assert ((await refused).status, (await refused).error["code"]) == (429, "concurrency_limit_exceeded")
        gate.release()
        for other in joined:
            same(await first, await other)
        same(await first, await desk.ask(headers=headers))


async def test_a_stream_is_joined(desk: Desk) -> None:
    desk.service.keep_alive = 0.02
    gate = desk.model.gate()
    async with desk.asking(headers=ONCE, stream=True) as first:
        await gate.arrived()
        async with desk.asking(headers=ONCE, stream=True) as second:
            assert await second.content.readuntil(b"\n\n") == b": waiting\n\n"
            gate.release()
            joined = (await second.read()).decode()
        streamed = (await first.read()).decode()
    turn = desk.turns()[0]["id"]
    assert f'"id":"chatcmpl-{turn}"' in joined
    assert 'chatcmpl-"' not in joined
    assert joined.endswith("data: [DONE]\n\n")
    assert text_of(joined) == text_of(streamed) == books.said(desk.turns()[0])
    async with desk.asking(headers=ONCE, stream=True) as third:
        assert text_of(await third.text()) == text_of(streamed)
    for name in ("x-trace-id", "x-conversation-id"):
        assert third.headers[name] == first.headers[name]
    assert len(desk.model.asked) == 1


async def read(desk: Desk, stream: bool, headers: Mapping[str, str] = ONCE) -> str:
    async with desk.asking(headers=headers, stream=stream) as response:
        return await response.text()


def text_of(stream: str) -> str:
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_the_same_failure(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path, model={"retries": {"attempts": 1, "base_seconds": 0}}) as desk:
        desk.model.faults.push(Fault("status", 503))
        first = await desk.ask(headers=ONCE, stream=stream)
        second = await desk.ask(headers=ONCE, stream=stream)
        assert first.status == 503
        same(first, second)
        assert first.headers["x-should-retry"] == second.headers["x-should-retry"] == "false"
        assert len(desk.model.asked) == 1


async def test_a_refusal_is_the_same_refusal(tmp_path: Path) -> None:
    async with serving(tmp_path, budgets={"everything": "0.000001"}) as desk:
        first = await desk.ask(headers=ONCE)
        second = await desk.ask(headers=ONCE)
    assert first.status == 402
    assert first.error["budget"]["limit"] == 1000
    same(first, second)


async def test_who_was_not_let_in_has_not_used_the_key(tmp_path: Path) -> None:
    async with serving(tmp_path, keys={"k": {"concurrency": 1}}) as desk:
        headers = {"authorization": "Bearer k"}
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask(headers=headers))
        await gate.arrived()
        assert (await desk.ask(headers={**headers, **ONCE})).status == 429
        gate.release()
        await first
        assert (await desk.ask(headers={**headers, **ONCE})).status == 200


async def test_another_caller_has_another_turn(tmp_path: Path) -> None:
    keys = {"a": {}, "b": {}, "users": {"user_header": "x-user"}}
    async with serving(tmp_path, keys=keys) as desk:
        callers = [
            {"authorization": "Bearer a"},
            {"authorization": "Bearer b"},
            {"authorization": "Bearer users"},
            {"authorization": "Bearer users", "x-user": "ann"},
            {"authorization": "Bearer users", "x-user": "bob"},
        ]
        answers = [await desk.ask(headers={**caller, **ONCE}) for caller in callers]
        assert [each.status for each in answers] == [200] * 5
        assert len({each.body["id"] for each in answers}) == 5
        same(answers[3], await desk.ask(headers={**callers[3], **ONCE}))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_was_cut_off_gets_its_answer(desk: Desk, stream: bool) -> None:
    gate = desk.model.gate()
    asking = asyncio.create_task(read(desk, stream))
    await gate.arrived()
    asking.cancel()
    await until(lambda: desk.service.kept)
    retry = asyncio.create_task(read(desk, stream))
    await until(lambda: desk.service.places.taken == 2)
    retry.cancel()  # who has joined and goes leaves the turn alone, and nothing behind
    await until(lambda: desk.service.places.taken == 1)
    retry = asyncio.create_task(read(desk, stream))
    await until(lambda: desk.service.places.taken == 2)
    gate.release()
    said = await retry
    assert said == await read(desk, stream)
    [turn] = desk.turns()
    assert turn["outcome"] == "answered"
    assert text_of(said) == books.said(turn) if stream else str(turn["id"]) in said
    assert len(desk.model.asked) == 1
    await until(lambda: not desk.service.kept)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_has_joined_is_told_that_the_process_ends(desk: Desk, stream: bool) -> None:
    gate = desk.model.gate()
    first = asyncio.create_task(read(desk, stream))
    await gate.arrived()
    first.cancel()
    await until(lambda: desk.service.kept)
    retry = asyncio.create_task(read(desk, stream))
    await until(lambda: desk.service.places.taken == 2)
    await desk.app.hand_back()
    assert '"code":"draining"' in await retry
    gate.release()


async def test_a_turn_that_nobody_runs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """It may wait for a process that has its agent and its prompt version."""
    async with serving(tmp_path, bounds={"deadline_seconds": 0.5}) as desk:
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask(headers=ONCE))
        await gate.arrived()
        with closing(sqlite3.connect(desk.store)) as connection, connection:
            connection.execute("UPDATE turn SET state = 'queued', owner = NULL, epoch = epoch + 1, due_at = 1 << 60")
        await first
        retry = await desk.ask(headers=ONCE)
        assert (retry.status, retry.error["code"]) == (503, "turn_waiting")
        assert int(retry.headers["retry-after"]) > 0
        assert desk.service.places.taken == 0
        gate.release()


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_key_the_turn_goes_with_its_client(desk: Desk, stream: bool) -> None:
    gate = desk.model.gate()
    asking = asyncio.create_task(read(desk, stream, {}))
    await gate.arrived()
    asking.cancel()
    await until(lambda: [turn["outcome"] for turn in desk.turns()] == ["cancelled"])
    [row] = books.table(desk.store, "ledger")
    assert row["outcome"] == "cancelled"
    assert desk.service.kept == set()
    gate.release()
