"""Tool calls as real providers write them, each through a whole turn.

Each test names its number in the list of what real providers send.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.stories.chunks import BOTH, HEAD, USED, chunk, played
from tests.support import desk
from tests.support.stage import COUNTS, NANO_COUNTS, answer, calls, events, said

SEARCH = {"name": "search_kb", "arguments": '{"query": "wifi"}'}


@pytest.mark.parametrize(
    "deltas",
    [
        [{"id": "0", "index": 0, "type": "function", "function": SEARCH}] * 2,
        [{"id": "0", "type": "function", "function": SEARCH}] * 2,
        [{"function": SEARCH}],
        [{"id": "", "index": None, "type": None, "function": SEARCH}],
        [{"id": "c", "index": 0, "function": {"name": "search_kb", "arguments": {"query": "wifi"}}}],
        [
            {"id": "c", "index": 0, "function": {"name": "search_kb", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"query": '}},
            {"id": "", "index": 0, "type": None, "function": {"name": None, "arguments": '"wifi"}'}},
        ],
        [
            {"id": "c", "type": "custom", "custom": {"name": "grep", "input": "wifi"}},
            {"id": "d", "type": "function", "index": 1, "function": SEARCH},
        ],
        [{"id": "c", "index": 0, "type": "function", **SEARCH}],
        [{"id": "c", "name": "search_kb", "arguments": {"query": "wifi"}}],
    ],
    ids=["twice", "twice, no index", "bare", "empty", "object", "pieces", "custom", "flat", "flat object"],
)
@BOTH
async def test_15_a_tool_call_in_any_dress_runs_once(tmp_path: Path, stream: bool, deltas: list[object]) -> None:
    if stream:
        asked = events(*(chunk({"tool_calls": [delta]}) for delta in deltas), chunk(finish="tool_calls"), USED)
    elif "'arguments': ''" in str(deltas):
        pytest.skip("pieces are streamed")
    else:
        asked = said(stream, {"content": None, "tool_calls": deltas}, "tool_calls")
    seen = await played(tmp_path, asked, answer(stream), stream=stream)
    assert (seen.result.outcome, desk.RUNS.total(), desk.RUNS["search_kb", "wifi"]) == ("answered", 1, 1)
    tools = [span for span in seen.spans if span.name == "execute_tool search_kb"]
    assert [bool(span.attributes["gen_ai.tool.call.id"]) for span in tools] == [True]


@pytest.mark.parametrize("arguments", [["{}", '{"query": "wifi"}'], ['{"query"', '{"query": "wi', '{"query": "wifi"}']])
@pytest.mark.parametrize("named", [True, False])
async def test_15_arguments_that_replace_what_came_before(tmp_path: Path, arguments: list[str], named: bool) -> None:
    first, *more = ({"index": 0, "function": {"arguments": text}} for text in arguments)
    deltas = [{**first, "id": "c", "function": {**first["function"], "name": "search_kb"}}]  # type: ignore[dict-item]
    deltas += [{**piece, **({"id": "c"} if named else {})} for piece in more]
    asked = events(*(chunk({"tool_calls": [delta]}) for delta in deltas), chunk(finish="tool_calls"), USED)
    seen = await played(tmp_path, asked, answer(True))
    assert (seen.result.outcome, desk.RUNS.total(), desk.RUNS["search_kb", "wifi"]) == ("answered", 1, 1)


@BOTH
async def test_15_a_single_object_of_calls(tmp_path: Path, stream: bool) -> None:
    message = {"content": None, "tool_calls": {"index": 0, "id": "c", "type": "function", "function": SEARCH}}
    part = "delta" if stream else "message"
    body = {**HEAD, "choices": [{"index": 0, part: message, "finish_reason": "tool_calls"}], "usage": COUNTS}
    asked = events(body) if stream else Fault.raw_json(body)
    seen = await played(tmp_path, asked, answer(stream), stream=stream)
    assert (seen.result.outcome, desk.RUNS["search_kb", "wifi"]) == ("answered", 1)


@BOTH
@pytest.mark.parametrize("fault", ["absent_arguments", "null_arguments"])
async def test_15_no_arguments_mean_none(tmp_path: Path, stream: bool, fault: str) -> None:
    """The tool needs one, so the model is told which; nothing crashes."""
    seen = await played(tmp_path, Fault(fault), answer(stream), stream=stream)
    assert seen.result.outcome == "answered"
    assert "query: missing" in seen.told[0]


@BOTH
async def test_15_a_custom_call_alone_is_no_answer(tmp_path: Path, stream: bool) -> None:
    only: dict[str, object] = {"id": "c", "type": "custom", "custom": {"name": "grep", "input": "x"}}
    seen = await played(tmp_path, calls(stream, only), stream=stream)
    assert (seen.result.outcome, seen.row["cost"]) == ("provider_failed", NANO_COUNTS)
