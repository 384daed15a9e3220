"""Providers whose word would make a budget, or the process, give way."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import ConfigError
from agent.offline.faults import Fault
from tests.support import books
from tests.support.app import Values
from tests.support.stage import answer, call, calls, stage

INPUT = 1_000
"""Nano-dollars of an input token."""

LONG = "My laptop will not connect to wifi. " * 500


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])
async def test_a_count_that_cannot_be_does_not_shrink_the_next_hold(tmp_path: Path, stream: bool) -> None:
    """One token for 18,000 bytes; the second call may then be billed as what it is."""
    usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
    asks = calls(stream, call("search_kb", '{"query": "wifi"}'), usage=usage)
    async with stage(tmp_path) as on:
        seen = await on.turn(asks, answer(stream), stream=stream, text=LONG)
    first, second = (books.number(row["bound"]) for row in seen.ledger)
    assert second >= first > len(LONG) * INPUT


KEY = "sk-canary-0123456789"
NEEDS_KEY: Values = {"api_key_env": "DESK_KEY"}


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY}\x7f", f"{KEY}é", "\n"])
async def test_a_key_that_no_header_can_hold_is_a_configuration_error(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.yaml.*DESK_KEY") as caught:
        async with stage(tmp_path, model=NEEDS_KEY, env={"DESK_KEY": key}):
            pass
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}\r\n"])
async def test_a_line_break_after_a_key_is_no_part_of_it(tmp_path: Path, key: str) -> None:
    async with stage(tmp_path, model=NEEDS_KEY, env={"DESK_KEY": key}) as on:
        assert (await on.turn()).result.outcome == "answered"


async def test_no_content_is_asked_for_once_and_costs_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        seen = await on.turn(Fault.raw_body(b"", 204))
    assert seen.booked("outcome", "cost") == [("http_204", 0)]
    assert seen.result.outcome == "provider_failed"
