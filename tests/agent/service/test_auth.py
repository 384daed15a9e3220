"""Who asks, and what he may: keys, tenants and users, agents, wrong keys, keys that are revoked."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from multidict import CIMultiDict
from starlette.datastructures import Headers

from agent.service import auth, keys
from agent.service.auth import Doorkeeper
from agent.service.errors import ApiError
from agent.service.keys import Keys
from tests.support.app import metric
from tests.support.serving import Desk, KeyEntries, serving, write_keys
from tests.support.until import until

KEYS: KeyEntries = {
    "k-all": {"name": "everything"},
    "k-one": {"agents": ["desk"]},
    "k-users": {"tenant": "other", "user_header": "x-user"},
}


def bearer(key: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **headers}


async def test_a_key_says_who_asks(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS) as desk:
        for key, more in (("k-all", {"x-user": "eve"}), ("k-users", {"x-user": "ann"}), ("k-users", {})):
            answered = await desk.ask(headers={**bearer(key), **more}, user="mallory", metadata={"tenant": "mallory"})
            assert answered.status == 200
        rows = [(turn["tenant"], turn["user_id"], turn["caller_key"]) for turn in desk.turns()]
    assert rows == [("acme", None, "everything"), ("other", "ann", "key2"), ("other", None, "key2")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic k-all"},
        {"authorization": "k-all"},
        {"authorization": "Bearer k-all k-all"},
        {"authorization": "Bearer " + "é".encode().decode("latin-1")},
    ],
)
async def test_without_a_key_nothing_is_told(
    tmp_path: Path, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_FIRST_WAIT", 0.001)
    async with serving(tmp_path, keys=KEYS) as desk:
        for refused in (
            await desk.ask(headers=headers),
            await desk.get("/v1/models", headers=headers),
            await desk.get("/v1/turns/x", headers=headers),
            await desk.get("/no/such/place", headers=headers),
            await desk.get("/v1/models", method="DELETE", headers=headers),
        ):
            assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert [(await desk.get(path)).status for path in ("/healthz", "/readyz", "/openapi.json")] == [200] * 3
        name = "http_server_request_duration_seconds_count"
        assert metric(desk.app, name, http_response_status_code="401") == 5


async def test_agents_of_a_key(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS, agents={"other": {}}) as desk:
        every, one = await desk.client("k-all"), await desk.client("k-one")
        assert [model.id async for model in every.models.list()] == ["desk", "other"]
        assert [model.id async for model in one.models.list()] == ["desk"]
        for refused in (
            await desk.get("/v1/models/other", headers=bearer("k-one")),
            await desk.ask(model="other", headers=bearer("k-one")),
        ):
            assert (refused.status, refused.error["code"]) == (403, "agent_not_allowed")
        missing = await desk.get("/v1/models/nobody", headers=bearer("k-one"))
        assert missing.status == 404
        assert "other" not in missing.error["message"]


async def test_a_turn_is_its_tenants_and_its_users(tmp_path: Path) -> None:
    async with serving(tmp_path, keys={**KEYS, "k-other": {"agents": ["other"]}}, agents={"other": {}}) as desk:
        mine = await _turn(desk, bearer("k-all"))
        anns = await _turn(desk, bearer("k-users", **{"x-user": "ann"}))
        sees = [
            (mine, bearer("k-all")),
            (mine, bearer("k-one")),
            (anns, bearer("k-users", **{"x-user": "ann"})),
            (anns, bearer("k-users")),
        ]
        blind = [
            (mine, bearer("k-users")),
            (mine, bearer("k-other")),
            (anns, bearer("k-all")),
            (anns, bearer("k-users", **{"x-user": "bob"})),
            ("no-such-turn", bearer("k-all")),
            ("x" * 1000, bearer("k-all")),
        ]
        for turn, headers in sees:
            found = await desk.get(f"/v1/turns/{turn}", headers=headers)
            assert (found.status, found.body["id"], found.body["state"]) == (200, turn, "done")
        for turn, headers in blind:
            missing = await desk.get(f"/v1/turns/{turn}", headers=headers)
            assert (missing.status, missing.error["code"]) == (404, "turn_not_found")
        conversation = {"x-conversation-id": str(desk.turns()[0]["conversation"])}
        assert (await desk.ask(headers={**bearer("k-users"), **conversation})).status == 404
        assert (await desk.ask(headers={**bearer("k-one"), **conversation})).status == 200


async def test_what_no_user_began_is_no_users(tmp_path: Path) -> None:
    """It is the tenant's, which in turn sees what its users began."""
    async with serving(tmp_path, keys=KEYS) as desk:
        whole, ann = bearer("k-users"), bearer("k-users", **{"x-user": "ann"})
        for began, goes_on, status in ((whole, ann, 404), (ann, whole, 200)):
            turn = await _turn(desk, began)
            [conversation] = [str(row["conversation"]) for row in desk.turns() if row["id"] == turn]
            assert (await desk.get(f"/v1/turns/{turn}", headers=goes_on)).status == status
            assert (await desk.ask(headers={**goes_on, "x-conversation-id": conversation})).status == status


async def _turn(desk: Desk, headers: dict[str, str]) -> str:
    return str((await desk.ask(headers=headers)).body["agent"]["turn_id"])


async def test_a_users_name_has_bounds(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS) as desk:
        for user, status in (("", 400), ("x" * 129, 400), ("x" * 128, 200)):
            assert (await desk.ask(headers=bearer("k-users", **{"x-user": user}))).status == status


async def test_a_user_is_named_once(tmp_path: Path) -> None:
    """A gateway that adds its header behind the one that came through has said nothing."""
    async with serving(tmp_path, keys=KEYS) as desk:
        headers = CIMultiDict({**bearer("k-users"), "x-user": "victim"})
        headers.add("x-user", "ann")
        assert (await desk.ask(headers=headers)).status == 400
        assert desk.turns() == []


async def test_wrong_keys_are_answered_ever_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each address by itself, up to a bound, until a right one comes."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("agent.service.auth.asyncio.sleep", sleep)
    write_keys(tmp_path, KEYS)
    door = Doorkeeper(Keys(tmp_path), open_door=True)
    for address in ("a",) * 7 + ("b",):
        with pytest.raises(ApiError):
            await door.let_in(Headers(bearer("wrong")), address)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 0.1]
    await door.let_in(Headers(bearer("k-all")), "a")
    with pytest.raises(ApiError):
        await door.let_in(Headers(bearer("wrong")), "a")
    assert waits[-1] == 0.1


async def test_wrong_keys_from_everywhere_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_FIRST_WAIT", 0)
    monkeypatch.setattr(auth, "_REMEMBERED", 3)
    write_keys(tmp_path, KEYS)
    door = Doorkeeper(Keys(tmp_path), open_door=False)
    for address in "abcde":
        with pytest.raises(ApiError):
            await door.let_in(Headers(bearer("wrong")), address)
    assert [door.failures(address) for address in "abcde"] == [0, 0, 1, 1, 1]


async def test_a_key_is_revoked_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert keys.LOOK <= 1
    monkeypatch.setattr(keys, "LOOK", 0)
    monkeypatch.setattr(auth, "_FIRST_WAIT", 0.001)
    caplog.set_level(logging.INFO, "agent.service.keys")
    async with serving(tmp_path, keys=KEYS) as desk:
        config = desk.app.settings.config

        async def known() -> list[str]:
            return [
                key for key in (*KEYS, "k-new") if (await desk.get("/v1/models", headers=bearer(key))).status == 200
            ]

        assert await known() == [*KEYS]
        write_keys(config, {"k-all": {}, "k-new": {}})
        assert await known() == ["k-all", "k-new"]
        for bad in ("keys: [", "keys: 5", "keys: [{name: a}]", "\xff"):
            (config / keys.FILE).write_text(bad, encoding="latin-1")
            assert await known() == ["k-all", "k-new"]
        (config / keys.FILE).write_text("")  # an editor that writes in place leaves it so for a moment
        assert await known() == ["k-all", "k-new"]
        (config / keys.FILE).unlink()
        assert await known() == ["k-all", "k-new"]
        (config / keys.FILE).write_text("keys: []")
        assert await known() == []
        nobody = await desk.get("/v1/models")
        assert nobody.status == 401  # the last key's end opens no door
    assert caplog.text.count("the keys stay as they were") == 6


async def test_a_look_at_the_file_is_a_second_away_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keys(tmp_path, {"k": {}})
    known = Keys(tmp_path)
    now = time.monotonic()
    write_keys(tmp_path, {})
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.5)
    known.refresh()
    assert known.find("k")
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)
    known.refresh()
    assert known.find("k") is None


async def test_an_open_door_closes_once_there_is_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LOOK", 0)
    monkeypatch.setattr(auth, "_FIRST_WAIT", 0.001)
    async with serving(tmp_path) as desk:
        config = desk.app.settings.config
        assert (await desk.ask()).status == 200
        assert (await desk.ask(headers=bearer("whatever"))).status == 200
        write_keys(config, {"k": {}})
        assert (await desk.ask()).status == 401
        write_keys(config, {})
        assert (await desk.ask()).status == 401


async def test_the_last_keys_end_opens_no_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LOOK", 0)
    monkeypatch.setattr(auth, "_FIRST_WAIT", 0.001)
    write_keys(tmp_path, KEYS)
    door = Doorkeeper(Keys(tmp_path), open_door=True)
    write_keys(tmp_path, {})
    with pytest.raises(ApiError):
        await door.let_in(Headers({}), "a")


async def test_beyond_loopback_there_is_no_open_door(tmp_path: Path) -> None:
    async with serving(tmp_path, loopback=False) as desk:
        assert (await desk.ask()).status == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example:80", 403),
        ("[::1].evil.example", 403),
        ("", 403),
    ],
)
async def test_without_keys_only_loopback_names_are_answered(tmp_path: Path, host: str, status: int) -> None:
    async with serving(tmp_path) as desk:
        for path in ("/v1/models", "/healthz"):
            answered = await desk.get(path, headers={"host": host})
            assert answered.status == status
            assert status == 200 or answered.error["code"] == "unknown_host"


async def test_with_keys_any_name_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=KEYS) as desk:
        answered = await desk.get("/v1/models", headers=bearer("k-all", host="agents.example"))
        assert answered.status == 200


async def test_a_wrong_key_holds_nobody_else_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_FIRST_WAIT", 60)
    monkeypatch.setattr(auth, "_LONGEST_WAIT", 60)
    async with serving(tmp_path, keys=KEYS) as desk:
        guess = asyncio.create_task(desk.get("/v1/models", headers=bearer("wrong")))
        await until(lambda: desk.service.doorkeeper.failures("127.0.0.1"))
        assert (await desk.get("/v1/models", headers=bearer("k-all"))).status == 200
        assert not guess.done()
        guess.cancel()
