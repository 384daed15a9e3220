from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import trace_tree
from agent.app import App
from agent.offline.faults import Fault
from agent.offline.server import OfflineModel
from agent.store import conversations
from agent.trace_tree import ChatNode, NoSuchTurn, ToolNode, TurnTree
from tests.support.app import running_app

QUESTION = "How do I set up the VPN?"


async def tree_of(app: App, wanted: str) -> TurnTree:
    return await app.services.store.read(lambda tx: trace_tree.read(tx, trace_tree.find(tx, wanted)))


def outline(tree: TurnTree) -> list[str]:
    """Each span in words that are the same at every run."""
    lines = []
    for node in tree.nodes:
        if isinstance(node, ToolNode):
            lines.append(f"{node.step} {node.name} {node.state} {node.error_type or 'ok'}")
        else:
            attempts = [f"{a.number} {a.kind} {a.error_type or 'ok'}" for a in node.attempts]
            lines.append(f"{node.step} {node.model}: {', '.join(attempts)}")
    return lines


async def test_calls_and_tools_in_order(tmp_path: Path) -> None:
    async with OfflineModel() as server, running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION)
        tree = await tree_of(app, result.turn_id)
    assert outline(tree) == ["m0 small: 1 attempt ok", "m0.t0 search_kb answered ok", "m1 small: 1 attempt ok"]
    assert (tree.state, tree.outcome, tree.epoch, len(tree.processes)) == ("done", "answered", 1, 1)
    assert tree.cost == result.cost_nano_usd == sum(node.cost for node in tree.nodes if isinstance(node, ChatNode))
    assert (tree.input_tokens, tree.output_tokens) == (result.usage.input_tokens, result.usage.output_tokens)
    ends = [node.ended for node in tree.nodes]
    assert None not in ends
    assert tree.began <= tree.nodes[0].began
    assert tree.ended


async def test_what_failed_is_in_it(tmp_path: Path) -> None:
    async with OfflineModel() as server, running_app(tmp_path, server, chain={"second": {}}) as app:
        server.faults.push(Fault("status", 429), Fault("ok"), Fault("status", 503, times=3))
        result = await app.ask("explode 1")
        tree = await tree_of(app, result.turn_id)
    assert outline(tree) == [
        "m0 small: 1 release rate_limit_exceeded, 2 attempt ok",
        "m0.t0 search_kb answered tool_error",
        "m1 small: 1 release server_error, 2 release server_error, 3 release server_error",
        "m1 second: 1 attempt ok",
        "m1.t0 search_kb answered ok",
        "m2 small: 1 attempt ok",
    ]


async def test_a_turn_under_way(tmp_path: Path) -> None:
    async with OfflineModel() as server, running_app(tmp_path, server) as app:
        server.faults.push(Fault("ok"))
        gate = server.gate()
        asking = asyncio.create_task(app.ask(QUESTION))
        await gate.arrived()
        [conversation] = await app.services.store.read(lambda tx: conversations.newest(tx, 1))
        tree = await tree_of(app, conversation.id)
        assert outline(tree)[-1] == "m1 small: 1 open ok"
        assert (tree.state, tree.outcome, tree.ended) == ("running", None, None)
        last = tree.nodes[-1]
        assert isinstance(last, ChatNode)
        assert (last.ended, last.tokens()) == (None, (None, None))
        assert last.cost > 0
        gate.release()
        await asking


async def test_what_was_erased_keeps_its_shape(tmp_path: Path) -> None:
    async with OfflineModel() as server, running_app(tmp_path, server) as app:
        result = await app.ask(QUESTION)
        before = await tree_of(app, result.turn_id)
        app.services.store.pulse(lambda tx: conversations.erase(tx, result.conversation_id))
        after = await tree_of(app, result.turn_id)
    assert after.erased
    assert outline(after) == [line.replace("search_kb", "None") for line in outline(before)]
    assert (after.cost, after.processes) == (before.cost, before.processes)


async def test_the_ways_to_name_a_turn(tmp_path: Path) -> None:
    async with OfflineModel() as server, running_app(tmp_path, server) as app:
        first = await app.ask(QUESTION)
        second = await app.ask("And on my phone?", conversation=first.conversation_id)

        async def found(wanted: str) -> str:
            return await app.services.store.read(lambda tx: trace_tree.find(tx, wanted))

        for wanted in (first.turn_id, first.turn_id[:-1], first.trace_id, first.turn_id.upper()):
            assert await found(wanted) == first.turn_id
        assert await found(first.conversation_id) == second.turn_id
        for wanted, why in [
            (first.turn_id[:8], second.turn_id),  # the first 8 characters are the time, to a minute
            (first.turn_id[:7], "first 8 characters"),
            ("%" * 32, "no id"),
            ("0" * 32, "no turn, trace or conversation"),
        ]:
            with pytest.raises(NoSuchTurn, match=why):
                await found(wanted)
