"""What erasing a conversation removes, and when it may not be erased."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.store import conversations
from agent.store.conversations import TurnOpen
from agent.store.store import Store
from agent.store.tables import turn
from agent.store.work import Fence, Finish, Work
from tests.support import books
from tests.support.works import begin, step

FENCE = Fence("t1", 1)
SAID = "what was said"


async def begun(store: Store) -> None:
    asked = replace(begin("t1"), input=SAID, request=f'{{"note":"{SAID}"}}')
    await store.do(Work(FENCE, begin=asked, steps=(step("t1", answer=f'"{SAID}"'),)))


def contents(path: str) -> list[bytes]:
    return [file.read_bytes() for file in Path(path).parent.iterdir()]


@pytest.mark.parametrize("state", ["running", "queued"])
async def test_not_while_a_turn_is_open(store: Store, path: str, state: str) -> None:
    await begun(store)
    store.pulse(lambda tx: tx.rows(turn.update().values(state=state)))
    before = books.table(path, "turn")
    with pytest.raises(TurnOpen, match="c1"):
        store.erase(lambda tx: conversations.erase(tx, "c1"))
    assert books.table(path, "turn") == before
    assert [row["erased_at"] for row in books.table(path, "conversation")] == [None]


async def test_nothing_of_it_stays_in_the_file(store: Store, path: str) -> None:
    await begun(store)
    await store.do(Work(FENCE, finish=Finish("refused_budget", SAID, f"a reason: {SAID}", {"word": SAID})))
    assert any(SAID.encode() in content for content in contents(path))
    assert store.erase(lambda tx: conversations.erase(tx, "c1"))
    assert not any(SAID.encode() in content for content in contents(path))
    [row] = books.table(path, "turn")
    assert (row["state"], row["outcome"]) == ("done", "refused_budget")
    assert not store.erase(lambda tx: conversations.erase(tx, "c1"))
