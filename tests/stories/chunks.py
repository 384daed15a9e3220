"""Chunks of a streamed answer, as a provider writes them, and a turn that is given them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.support import desk
from tests.support.app import Values
from tests.support.stage import ANSWERED_BY, COUNTS, Seen, stage

HEAD = {"id": "chatcmpl-1", "model": ANSWERED_BY}
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])


def chunk(delta: object = None, finish: object = None, **members: object) -> dict[str, object]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **members}


HELLO, STOP = chunk({"content": "Hello"}), chunk(finish="stop")
USED = {**HEAD, "choices": [], "usage": COUNTS}
ONCE: Values = {"retries": {"attempts": 1, "base_seconds": 0}}
NULLS, ZEROS = dict.fromkeys(COUNTS), dict.fromkeys(COUNTS, 0)


async def played(tmp_path: Path, *faults: Fault, stream: bool = True) -> Seen:
    desk.RUNS.clear()
    desk.blocked.set()
    async with stage(tmp_path, model=ONCE) as on:
        return await on.turn(*faults, stream=stream)
