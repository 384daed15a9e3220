"""What a client is told when there is no answer: through the official SDK, and as it came."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from openai import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)

from agent.offline.faults import Fault
from agent.service.shapes import ServiceFile
from tests.support.serving import Desk, KeyEntries, serving
from tests.support.stage import answer, call, calls, said

KEYS: KeyEntries = {
    "all": {},
    "slow": {"requests_per_minute": 1},
    "single": {"concurrency": 1},
    "elsewhere": {"agents": ["other"]},
}

KEY = "idempotency-key"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def failing(desk: Desk, kind: type[APIStatusError], key: str = "none", **changes: object) -> APIStatusError:
    client = await desk.client(key, max_retries=2)
    question = {"model": "desk", "messages": [{"role": "user", "content": "Hello"}], **changes}
    with pytest.raises(kind) as raised:
        await client.chat.completions.create(**question)  # type: ignore[call-overload]
    assert type(raised.value) is kind
    assert isinstance(raised.value.body, dict)
    assert {"message", "type", "param", "code"} <= raised.value.body.keys()
    return raised.value


async def test_the_sdk_raises_what_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS, agents={"other": {}}) as desk:
        assert (await failing(desk, AuthenticationError, "wrong")).code == "invalid_api_key"
        assert (await failing(desk, PermissionDeniedError, "elsewhere")).code == "agent_not_allowed"
        missing = await failing(desk, NotFoundError, "all", model="nobody")
        assert (missing.code, missing.param) == ("model_not_found", "model")
        assert (await failing(desk, BadRequestError, "all", n=3)).param == "n"
        headers = {"Idempotency-Key": "1"}
        client = await desk.client("all")
        await client.chat.completions.create(
            model="desk", messages=[{"role": "user", "content": "a"}], extra_headers=headers
        )
        reused = await failing(desk, UnprocessableEntityError, "all", extra_headers=headers)
        assert reused.code == "idempotency_key_reused"


def test_the_sync_sdk_too(tmp_path: Path) -> None:
    async def serve(stop: asyncio.Event, ready: asyncio.Future[str]) -> None:
        async with serving(tmp_path, keys={"all": {}}) as desk:
            ready.set_result(desk.served.url)
            await stop.wait()

    async def asked() -> None:
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        there = asyncio.create_task(serve(stop, ready))
        await asyncio.to_thread(ask, await ready)
        stop.set()
        await there

    def ask(url: str) -> None:
        with OpenAI(base_url=url, api_key="all", max_retries=0) as client:
            completion = client.chat.completions.create(model="desk", messages=[{"role": "user", "content": "Hi"}])
            assert completion.choices[0].message.content
            with client.chat.completions.create(
                model="desk", messages=[{"role": "user", "content": "Hi"}], stream=True
            ) as stream:
                text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            assert text == completion.choices[0].message.content
            assert [model.id for model in client.models.list()] == ["desk"]
            assert client.models.retrieve("desk").owned_by == "agent"
            with pytest.raises(NotFoundError):
                client.models.retrieve("nobody")
        with OpenAI(base_url=url, api_key="no", max_retries=0) as client, pytest.raises(AuthenticationError):
            client.models.list()

    asyncio.run(asked())


async def test_two_turns_at_once_in_one_conversation(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        conversation = (await desk.ask("one")).headers["x-conversation-id"]
        gate = desk.model.gate()
        headers = {"x-conversation-id": conversation}
        first = asyncio.create_task(desk.ask("two", headers=headers))
        await gate.arrived()
        second = await desk.ask("three", headers=headers)
        assert (second.status, second.error["code"]) == (409, "conversation_busy")
        assert int(second.headers["retry-after"]) > 0
        client = await desk.client()
        with pytest.raises(ConflictError):
            await client.chat.completions.create(
                model="desk", messages=[{"role": "user", "content": "x"}], extra_headers=headers
            )
        gate.release()
        assert (await first).status == 200


async def test_a_key_has_its_pace(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS) as desk:
        assert (await desk.ask(headers=bearer("slow"))).status == 200
        too_fast = await desk.ask(headers=bearer("slow"))
        assert (too_fast.status, too_fast.error["code"]) == (429, "rate_limit_exceeded")
        assert too_fast.error["type"] == "rate_limit_error"
        assert 50 < int(too_fast.headers["retry-after"]) <= 60
        gate = desk.model.gate()
        first = asyncio.create_task(desk.ask(headers=bearer("single")))
        await gate.arrived()
        too_many = await desk.ask(headers=bearer("single"))
        assert (too_many.status, too_many.error["code"]) == (429, "concurrency_limit_exceeded")
        assert int(too_many.headers["retry-after"]) == 1
        client = await desk.client("single")
        with pytest.raises(RateLimitError):
            await client.chat.completions.create(model="desk", messages=[{"role": "user", "content": "x"}])
        gate.release()
        assert (await first).status == 200
        assert (await desk.ask(headers=bearer("all"))).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_says_its_numbers(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path, budgets={"everything": "0.000001"}) as desk:
        error = await failing(desk, APIStatusError, stream=stream)
        refused = await desk.ask(stream=stream)
    assert (error.status_code, error.code, error.type) == (402, "budget_exceeded", "insufficient_quota")
    assert desk.model.asked == []
    budget = refused.error["budget"]
    assert budget.keys() == {"budget", "unit", "limit", "charged", "held", "asked", "window_ends"}
    assert (budget["budget"], budget["unit"], budget["limit"], budget["charged"]) == ("everything", "usd", 1000, 0)
    assert budget["asked"] > 1000
    assert budget["window_ends"] is None
    assert refused.error["agent"]["outcome"] == "refused_budget"
    assert refused.headers["x-trace-id"] == refused.error["agent"]["trace_id"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_paid_is_not_asked_again(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path, model={"retries": {"attempts": 1, "base_seconds": 0}}) as desk:
        desk.model.faults.push(Fault("status", 500, times=5))
        failed = await failing(desk, InternalServerError, stream=stream)
        assert (failed.status_code, failed.code, failed.type) == (503, "provider_failed", "server_error")
        assert failed.response.headers["x-should-retry"] == "false"
        assert int(failed.response.headers["retry-after"]) > 0
        assert len(desk.model.asked) == len(desk.turns()) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_goes_on_elsewhere_is_not_asked_twice(tmp_path: Path, stream: bool) -> None:
    """Without a key, asking again would be a second turn; with one it waits for the first."""
    async with serving(tmp_path) as desk:
        gates = [desk.model.gate(), desk.model.gate()]
        asking = [asyncio.create_task(desk.ask(headers=headers, stream=stream)) for headers in (None, {KEY: "1"})]
        for gate in gates:
            await gate.arrived()
        await desk.app.hand_back()
        plain, keyed = await asyncio.gather(*asking)
        for gate in gates:
            gate.release()
    for failed in (plain, keyed):
        assert (failed.status, failed.error["code"]) == (503, "draining")
        assert int(failed.headers["retry-after"]) > 0
    turns = {str(turn["conversation"]): turn for turn in desk.turns()}
    assert len(turns) == 2
    mine = turns[plain.headers["x-conversation-id"]]
    assert plain.headers["x-should-retry"] == "false"
    assert f"GET /v1/turns/{mine['id']}" in plain.error["message"]
    assert plain.headers["x-trace-id"] in str(mine["traceparent"])
    assert "x-should-retry" not in keyed.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_said_before_the_tools_is_no_answer(tmp_path: Path, stream: bool) -> None:
    wants = {"role": "assistant", "content": "Let me look.", "tool_calls": [call("search_kb", '{"query": "wifi"}')]}
    async with serving(tmp_path) as desk:
        desk.model.faults.push(said(stream, wants, "tool_calls"), Fault("status", 400))
        if not stream:
            failed = await desk.ask()
            assert (failed.status, failed.error["code"]) == (503, "provider_failed")
            return
        client = await desk.client()
        with pytest.raises(APIError, match="bad_request") as raised:
            async for _ in await client.chat.completions.create(
                model="desk", messages=[{"role": "user", "content": "x"}], stream=True
            ):
                pass
        assert raised.value.code == "provider_failed"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_deadline(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path, bounds={"deadline_seconds": 0.2}) as desk:
        desk.model.gate()
        late = await failing(desk, InternalServerError, stream=stream)
        assert (late.status_code, late.code) == (504, "deadline_exceeded")
        assert late.response.headers["x-should-retry"] == "false"
        assert len(desk.turns()) == 1


async def test_a_context_that_is_full(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        desk.model.faults.push(Fault("context_overflow"))
        full = await failing(desk, BadRequestError)
    assert (full.code, full.param) == ("context_length_exceeded", "messages")


async def test_a_limit_leaves_what_there_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        desk.model.faults.push(answer(False, "Half an", "length"))
        answered = await desk.ask()
    assert (answered.status, answered.text) == (200, "Half an")
    assert answered.body["choices"][0]["finish_reason"] == "length"
    assert answered.body["agent"]["outcome"] == "limit_tokens"


async def test_a_store_that_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        await desk.app.services.store.close()
        for failed in (await desk.ask(), await desk.get("/v1/turns/x")):
            assert (failed.status, failed.error["code"]) == (503, "store_unavailable")


async def test_a_body_that_is_too_large_or_no_json(tmp_path: Path) -> None:
    async with serving(tmp_path, options=ServiceFile(body_bytes=1024)) as desk:
        large = await desk.ask("x" * 1024)
        assert (large.status, large.error["code"]) == (413, "request_too_large")

        async def drops() -> object:
            for _ in range(3):
                yield b" " * 500

        url = f"{desk.served.url}/chat/completions"
        async with desk.http.post(url, data=drops(), headers={"content-type": "application/json"}) as response:
            assert response.status == 413
        for kind in ("text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"):
            async with desk.http.post(url, data=b"{}", headers={"content-type": kind}) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (415, "unsupported_media_type")
        packed = {"content-type": "application/json", "content-encoding": "gzip"}
        async with desk.http.post(url, data=gzip.compress(b"{}"), headers=packed) as response:
            assert response.status == 415
        kind = 'Application/JSON; charset="utf-8"'
        async with desk.http.post(url, data=b"{}", headers={"content-type": kind}) as response:
            assert response.status == 400


async def test_unknown_places_and_methods(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        for path in ("/", "/v1", "/v1/completions", "/v1/models/", "/v1/models/a/b", "/v1/turns/", "//healthz"):
            missing = await desk.get(path)
            assert (missing.status, missing.error["code"]) == (404, "not_found"), path
        for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/models"), ("DELETE", "/v1/turns/x")):
            refused = await desk.get(path, method=method)
            assert (refused.status, refused.error["code"]) == (405, "method_not_allowed")
            assert refused.headers["allow"]
        assert (await desk.get("/v1/models/nobody")).error["code"] == "model_not_found"


async def test_a_defect_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as desk:
        del desk.app.config.agents.agents["desk"]  # what should never be: an agent without its configuration
        broken = await desk.ask("secret")
    assert (broken.status, broken.error["code"], broken.error["param"]) == (500, "internal_error", None)
    assert broken.headers["x-should-retry"] == "false"
    assert "KeyError" not in str(broken.body)
    assert "secret" not in caplog.text
    assert "a request failed" in caplog.text


async def test_tools_run_for_a_client_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        desk.model.faults.push(calls(False, call("search_kb", '{"query": "wifi"}')))
        answered = await desk.ask("wifi?")
        assert answered.status == 200
        turn = (await desk.get(f"/v1/turns/{answered.body['agent']['turn_id']}")).body
    assert turn["usage"] == answered.body["usage"]
    assert turn["usage"]["total_tokens"] > 110  # of both calls
    assert turn["cost_nano_usd"] == answered.body["agent"]["cost_nano_usd"] > 0
    assert turn["text"] == answered.text
