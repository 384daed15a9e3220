"""Tools for tests, a module as an engineer writes one. `RUNS` counts what ran, by name and arguments."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field

from agent.tools.tool import ToolError, tool

RUNS: Counter[tuple[str, str]] = Counter()


@dataclass
class Meeting:
    """Where the runs of `search_kb` wait for one another when a test says so: `most` is how many were there at once."""

    open: asyncio.Event | None = None
    there: int = 0
    most: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


meeting = Meeting()
blocked = threading.Event()


@tool(repeat="safe")
async def search_kb(query: str) -> str:
    """Searches the knowledge base.

    Args:
        query: Words to look for.
    """
    RUNS["search_kb", query] += 1
    meeting.there += 1
    meeting.most = max(meeting.most, meeting.there)
    meeting.arrived.set()
    try:
        if meeting.open:
            await meeting.open.wait()
    finally:
        meeting.there -= 1
    if "explode" in query and query.endswith("1"):
        raise ToolError("the index is on fire")
    if "endless" in query:
        return "word " * 100_000
    return f"Article about {query}: turn it off and on again."


@tool
def order_part(name: str) -> str:
    """Orders a spare part.

    Args:
        name: Which part.
    """
    RUNS["order_part", name] += 1
    blocked.wait(5)
    return f"ordered {name}"
