from __future__ import annotations

import pytest

from agent import journal
from agent.config import Bounds
from agent.store import steps as step_rows
from agent.store.store import Lease, Store
from agent.store.work import Fence, Work
from agent.turn import Ask, End, ModelStep, Step, Use, exchange
from agent.types import Message, Outcome, ToolCall, ToolResult
from tests.support.turns import call, model, turn, used
from tests.support.works import begin

A, B = call("search_kb", '{"query":"a"}', "1"), call("search_kb", '{"query":"b"}', "2")


class TestNext:
    def test_asks_first(self) -> None:
        assert turn().next() == Ask("m0", None)

    def test_runs_what_has_no_result(self) -> None:
        pending = used("m0.t1", B, None)
        assert turn(model("m0", "", A, B), used("m0.t0", A), pending).next() == Use((pending,))

    def test_runs_them_after_the_deadline_too_for_they_are_journaled(self) -> None:
        pending = used("m0.t0", A, None)
        assert turn(model("m0", "", A), pending, left=-1).next() == Use((pending,))

    def test_asks_again_once_all_have_theirs(self) -> None:
        assert turn(model("m0", "", A), used("m0.t0", A)).next() == Ask("m1", None)

    def test_closing_call(self) -> None:
        bounds = Bounds(steps=2)
        assert turn(model("m0", "", A), used("m0.t0", A), bounds=bounds).next() == Ask("m1", "limit_steps")

    @pytest.mark.parametrize(
        ("last", "end"),
        [
            (model("m0", "hello"), End("answered", "hello")),
            (model("m0", "hello", finish="eos"), End("answered", "hello")),
            (model("m0", ""), End("provider_failed", None)),
            (model("m0", "hel", finish="length"), End("limit_tokens", "hel")),
            (model("m0", "", finish="length"), End("limit_tokens", None)),
            (model("m0", "", finish="content_filter"), End("content_filtered", None)),
            (model("m0", "so far", closing="limit_tools"), End("limit_tools", "so far")),
            (model("m0", "", closing="limit_time", finish="length"), End("limit_time", None)),
        ],
        ids=repr,
    )
    def test_ends_with_a_reply_without_calls(self, last: ModelStep, end: End) -> None:
        assert turn(last).next() == end
        assert turn(last, left=-1).next() == end, "an answer that is there counts, however late"

    @pytest.mark.parametrize(
        ("left", "bounds", "over"), [(-1, Bounds(), "limit_time"), (9, Bounds(steps=2), "limit_steps")]
    )
    def test_ends_at_a_limit_with_what_was_said(self, left: float, bounds: Bounds, over: Outcome) -> None:
        steps = (model("m0", "", A), used("m0.t0", A), model("m1", "wait", A), used("m1.t0", A))
        assert turn(*steps, left=left, bounds=bounds).next() == End(over, "wait")
        assert turn(left=-1).next() == End("limit_time", None)

    def test_what_was_decided_stays(self) -> None:
        ended = turn(model("m0", "", A), used("m0.t0", A, None)).end("refused_budget")
        assert ended.next() == End("refused_budget", None)
        assert turn().end("provider_failed").next() == End("provider_failed", None)


class TestMessages:
    def test_history_question_steps(self) -> None:
        history = (Message("user", "hi"), Message("assistant", "hello"))
        said = turn(model("m0", "", A, B), used("m0.t0", A), used("m0.t1", B, "no"), history=history).messages()
        assert said == (
            *history,
            Message("user", "help"),
            Message("assistant", "", (A, B)),
            Message("tool", "found", tool_call_id="1"),
            Message("tool", "no", tool_call_id="2"),
        )

    def test_every_call_is_answered(self) -> None:
        said = turn(model("m0", "", A), used("m0.t0", A, None)).messages()
        assert said[-1] == Message("tool", "This call was not finished.", tool_call_id="1")

    def test_reply_of_nothing_is_not_sent_back(self) -> None:
        assert exchange("help", [model("m0", "", finish="length")]) == (Message("user", "help"),)

    def test_note_on_calls_that_were_dropped(self) -> None:
        said = exchange("help", [model("m0", "", A, dropped=1792), used("m0.t0", A)])
        assert said[-1].content.startswith("found\n[Your reply asked for 1,792 more calls")
        assert said[-1].tool_call_id == "1"


class TestBecoming:
    def test_used_replaces_by_key(self) -> None:
        waiting = turn(model("m0", "", A, B), used("m0.t0", A, None), used("m0.t1", B, None))
        after = waiting.used([used("m0.t1", B)])
        assert after.next() == Use((used("m0.t0", A, None),))
        assert waiting.next() == Use((used("m0.t0", A, None), used("m0.t1", B, None)))


ALL: tuple[Step, ...] = (
    model("m0", "I'll look", A, B, ToolCall("", "", ""), finish="tool_calls", dropped=3),
    used("m0.t0", A),
    used("m0.t1", B, "…\n", "tool_error"),
    used("m0.t2", ToolCall("", "", ""), None),
    model("m1", "", closing="limit_steps", finish="length"),
)


async def test_a_journal_is_read_back_as_it_was_written() -> None:
    store = Store(":memory:", Lease())
    await store.do(Work(begin=begin("t1")))
    written = journal.Journal(store, Fence("t1", 1))
    for number in range(1, len(ALL) + 1):
        await written.write(turn(*ALL[:number]))
        read = await store.read(lambda tx: journal.read(step_rows.read(tx, "t1"), step_rows.COLUMNS))
        assert read == ALL[:number]
    answered = used("m0.t2", ToolCall("", "", ""), "late")
    await written.write(turn(*ALL).used([answered]))
    read = await store.read(lambda tx: journal.read(step_rows.read(tx, "t1"), step_rows.COLUMNS))
    assert read == (*ALL[:3], answered, ALL[4])
    assert isinstance(answered.result, ToolResult)
    await store.close()
