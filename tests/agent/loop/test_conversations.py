"""Conversations: over turns and processes, one turn at a time, with the prompt that they began with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.app import App
from agent.memory.window import history
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.opening import ConversationBusy, NoSuchConversation, PromptChanged
from agent.store import conversations
from agent.types import Caller
from tests.support import books, desk
from tests.support.app import running_app
from tests.support.until import until

QUESTION = "My wifi is broken."


async def said(app: App, conversation: str) -> list[tuple[str, str]]:
    messages = await app.services.store.read(lambda tx: history(tx, conversation))
    return [(message.role, message.content) for message in messages]


async def test_goes_on_in_another_process(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server) as app:
        first = await app.ask(QUESTION)
    async with running_app(tmp_path, server) as app:
        second = await app.ask("And my printer?", conversation=first.conversation_id)
        assert second.conversation_id == first.conversation_id
        roles = [role for role, _ in await said(app, first.conversation_id)]
        assert roles == ["user", "assistant", "tool", "assistant"] * 2
    assert [access.messages for access in server.log.accesses] == [2, 4, 6, 8]
    assert [row["ordinal"] for row in books.table(tmp_path / "store.db", "turn")] == [0, 1]


async def test_second_turn_at_the_same_time_is_told_so(tmp_path: Path, server: OfflineModel) -> None:
    async with running_app(tmp_path, server) as app, running_app(tmp_path, server) as other:
        first = await app.ask(QUESTION)
        gate = server.gate()
        running = asyncio.create_task(app.ask("And my printer?", conversation=first.conversation_id))
        await gate.arrived()
        for process in (app, other):
            with pytest.raises(ConversationBusy, match=first.conversation_id):
                await process.ask("Hurry up!", conversation=first.conversation_id)
        gate.release()
        assert (await running).outcome == "answered"
        assert (await other.ask("Thanks, vpn now?", conversation=first.conversation_id)).outcome == "answered"
    rows = books.table(tmp_path / "store.db", "turn")
    assert [row["state"] for row in rows] == ["done"] * 3
    assert [row["ordinal"] for row in rows] == [0, 1, 2]


async def test_turns_of_different_conversations_run_at_once(tmp_path: Path, server: OfflineModel) -> None:
    desk.meeting.open = asyncio.Event()
    async with running_app(tmp_path, server) as app:
        tasks = [asyncio.create_task(app.ask(QUESTION)) for _ in range(20)]
        await until(lambda: desk.meeting.there == 20)
        desk.meeting.open.set()
        assert {result.outcome for result in await asyncio.gather(*tasks)} == {"answered"}
        assert books.replay(app.settings.store) == []


async def test_what_was_not_answered_can_be_read(tmp_path: Path, server: OfflineModel) -> None:
    """After a turn that was cancelled in a tool, the next one's request has no call without a result."""
    desk.meeting.open = asyncio.Event()
    async with running_app(tmp_path, server) as app:
        first = await app.ask("Hello")
        task = asyncio.create_task(app.ask(QUESTION, conversation=first.conversation_id))
        await desk.meeting.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await said(app, first.conversation_id))[-1] == ("tool", "This call was not finished.")
        desk.meeting.open.set()
        assert (await app.ask("Still there?", conversation=first.conversation_id)).outcome == "answered"


class TestPrompt:
    async def test_is_pinned(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server) as app:
            old = await app.ask(QUESTION)
        prompts = {1: "You are a helpdesk.", 2: "You are a better helpdesk."}
        async with running_app(tmp_path, server, prompts=prompts) as app:
            assert (await app.ask(QUESTION)).prompt_version == "2"
            again = await app.ask("And my printer?", conversation=old.conversation_id)
            assert again.prompt_version == "1"
            versions = {row["turn"]: row["prompt_version"] for row in books.table(app.settings.store, "ledger")}
            assert versions[again.turn_id] == "1"

    async def test_that_was_changed_is_refused(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server) as app:
            old = await app.ask(QUESTION)
        asked = server.log.count()
        async with running_app(tmp_path, server, prompts={1: "You are somebody else."}) as app:
            with pytest.raises(PromptChanged, match="desk@1"):
                await app.ask("And my printer?", conversation=old.conversation_id)
            assert len(books.table(app.settings.store, "turn")) == 1
        assert server.log.count() == asked


class TestWhose:
    async def test_unknown(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server) as app:
            for unknown in ("no-such", "", "\ud800"):
                with pytest.raises(NoSuchConversation):
                    await app.ask(QUESTION, conversation=unknown)

    async def test_another_tenants(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server) as app:
            result = await app.ask(QUESTION, caller=Caller("acme"))
            with pytest.raises(NoSuchConversation):
                await app.ask(QUESTION, conversation=result.conversation_id)

    async def test_erased(self, tmp_path: Path, server: OfflineModel) -> None:
        async with running_app(tmp_path, server) as app:
            result = await app.ask(QUESTION)
            assert app.services.store.pulse(lambda tx: conversations.erase(tx, result.conversation_id))
            assert not app.services.store.pulse(lambda tx: conversations.erase(tx, result.conversation_id))
            with pytest.raises(NoSuchConversation):
                await app.ask("And now?", conversation=result.conversation_id)
            assert await said(app, result.conversation_id) == []
            path = app.settings.store
            assert books.total(books.table(path, "ledger"), "cost") == result.cost_nano_usd
            assert books.chain_faults(path) == []


@pytest.mark.parametrize("text", ["", " ", "\0", "wifi \ud800 broken", "wifi \udcff", "🛜" * 50, "a\u202eb"])
@pytest.mark.parametrize("stream", [True, False])
async def test_any_text_is_answered(tmp_path: Path, server: OfflineModel, text: str, stream: bool) -> None:
    async with running_app(tmp_path, server) as app:
        result = await app.ask(text, stream=stream)
        assert result.outcome == "answered"
        again = await app.ask(text, conversation=result.conversation_id, stream=stream)
        assert again.outcome == "answered"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_with_half_a_character_is_kept(tmp_path: Path, server: OfflineModel, stream: bool) -> None:
    message = '{"role": "assistant", "content": "half \\ud83d of it"}'
    chunk = '{"id": "x", "model": "small", "choices": [{"index": 0, "finish_reason": "stop", "%s": %s}]}'
    if stream:
        server.faults.push(Fault.raw_stream([f"data: {chunk % ('delta', message)}", "data: [DONE]"]))
    else:
        server.faults.push(Fault.raw_body((chunk % ("message", message)).encode()))
    async with running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION, stream=stream)
        assert (result.outcome, result.text) == ("answered", "half \ufffd of it")
        assert (await app.ask("Sure?", conversation=result.conversation_id)).outcome == "answered"
