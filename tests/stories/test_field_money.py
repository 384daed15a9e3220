"""What users of other systems pay for: complaints about budgets and cost, each as it would happen here.

The reference in a docstring is the report. What is tested elsewhere is in the table of `test_field_complaints.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.offline.faults import Fault
from tests.support import books
from tests.support.app import Values
from tests.support.stage import COUNTS, NANO_COUNTS, answer, stage

FREE: Values = {"free": True, "ceiling_usd_per_mtok": None}
ONCE: Values = {"retries": {"attempts": 1, "base_seconds": 0}}


async def test_concurrent_first_requests_do_not_all_slip_through(tmp_path: Path) -> None:
    """litellm#34732, #40095, #35567: all pass the check before any spend is recorded, and no row exists yet."""
    async with stage(tmp_path / "one") as on:
        bound = books.number((await on.turn(answer(True), text="wifi")).row["bound"])
    limit = 5 * bound + bound // 2  # room for five, and for none of the sixth's smallest answer
    model: Values = {"minimal_answer": 1000}
    async with stage(tmp_path / "all", budgets={"everything": limit / 1e9}, model=model) as on:
        gates = [on.server.gate() for _ in range(5)]
        asked = [asyncio.create_task(on.app.ask("wifi")) for _ in range(40)]
        for gate in gates:
            await gate.arrived()
        ending = asyncio.as_completed(asked)
        refused = [(await next(ending)).outcome for _ in range(35)]
        for gate in gates:
            gate.release()
        await asyncio.gather(*asked)
    assert refused == ["refused_budget"] * 35
    assert {row["turn"] for row in books.table(on.store, "ledger")} == {
        row["id"] for row in books.table(on.store, "turn") if row["outcome"] != "refused_budget"
    }


async def test_nothing_stays_reserved_after_cancels_and_errors(tmp_path: Path) -> None:
    """litellm#27639, #36926, #40050: "$55 spent, $111 enforced, 429"."""
    async with stage(tmp_path, model=ONCE) as on:
        for fault in ("status", "cut", "reset", "malformed", "html", "error_200", "truncated", "no_choices"):
            await on.turn(Fault(fault), text="wifi")
        for after in (None, 0, 2):
            gate = on.server.gate(after)
            task = asyncio.create_task(on.app.ask("wifi", emit=on.emit))
            await gate.arrived()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.release()
        assert on.holds() == []
        (total,) = books.table(on.store, "counter", where=("budget", 1))
        spent = books.total(books.table(on.store, "ledger"), "cost")
        assert (total["settled"], total["reserved"]) == (spent, 0)


async def test_a_paid_fallback_of_a_free_model_is_refused_when_the_budget_is_spent(tmp_path: Path) -> None:
    """litellm#41379: a key over its budget went on spending through the fallback."""
    paid: Values = {"free": False, "ceiling_usd_per_mtok": [1, 2]}
    async with stage(tmp_path, model={**FREE, **ONCE}, chain={"paid": paid}, budgets={"everything": 0.00001}) as on:
        seen = await on.turn(Fault("status", 503))
        assert [access.model for access in on.server.log.accesses] == ["small"]
    assert (seen.result.outcome, seen.result.cost_nano_usd) == ("refused_budget", 0)
    assert seen.result.reason
    assert "limit $0.000010, charged $0.000000, held $0.000000" in seen.result.reason


async def test_a_stream_counts_while_it_runs(tmp_path: Path) -> None:
    """envoy ai-gateway#2394: a stream that crosses the limit is only counted after it has ended."""
    async with stage(tmp_path, budgets={"everything": 0.003}, model={"minimal_answer": 1000}) as on:
        gate = on.server.gate(2)
        streaming = asyncio.create_task(on.app.ask("wifi"))
        await gate.arrived()
        during = await on.app.ask("wifi")
        gate.release()
        await streaming
        assert on.server.log.count() == 1 + ((await streaming).outcome == "answered")
    assert during.outcome == "refused_budget"
    assert during.reason
    assert "charged $0.000000, held $0.002" in during.reason


async def test_cached_tokens_are_billed_once(tmp_path: Path) -> None:
    """litellm#14849, langfuse#5568, #10592, phoenix#10036: up to 40 times too high."""
    usage = {
        "prompt_tokens": 262_960,
        "completion_tokens": 1_744,
        "total_tokens": 264_704,
        "prompt_tokens_details": {"cached_tokens": 257_955},
    }
    model: Values = {"price": "openai/gpt-5-mini", "model": "gpt-5-mini", "ceiling_usd_per_mtok": None}
    async with stage(tmp_path, model=model) as on:
        seen = await on.turn(answer(True, usage=usage, model="gpt-5-mini"))
    # 0.25 USD per million fresh tokens, 0.025 cached, 2 output
    assert seen.row["cost"] == 5_005 * 250 + 257_955 * 25 + 1_744 * 2_000
    assert seen.chat.attributes["gen_ai.usage.input_tokens"] == 262_960


async def test_a_price_change_leaves_the_past_as_it_was(tmp_path: Path) -> None:
    """ccusage#1636, any-llm#994: $2,472 against $1,923 for the same week."""
    async with stage(tmp_path) as on:
        before = await on.turn(answer(True))
    async with stage(tmp_path, model={"ceiling_usd_per_mtok": [10, 20]}) as on:
        after = await on.turn(answer(True))
        (total,) = books.table(on.store, "counter", where=("budget", 1))
    assert books.table(on.store, "ledger", where=("turn", before.result.turn_id)) == [before.row]
    assert (before.row["cost"], after.row["cost"]) == (NANO_COUNTS, 10 * NANO_COUNTS)
    assert total["settled"] == 11 * NANO_COUNTS
    assert before.row["unit_prices"] != after.row["unit_prices"]


async def test_a_fallback_is_priced_as_itself(tmp_path: Path) -> None:
    """litellm#39294, bifrost#5387: priced at the model that had failed."""
    failed = Fault.raw_json({"error": {"message": "no", "code": "server_error"}, "usage": COUNTS}, 500)
    chain: Mapping[str, Values] = {"other": {"ceiling_usd_per_mtok": [100, 200]}}
    async with stage(tmp_path, model=ONCE, chain=chain) as on:
        seen = await on.turn(failed, answer(True, model="other"))
    assert seen.booked("model", "cost") == [("small", NANO_COUNTS), ("other", 100 * NANO_COUNTS)]
    assert [chat.attributes["agent.cost.usd"] for chat in seen.chats] == [NANO_COUNTS / 1e9, NANO_COUNTS / 1e7]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unstreamed"])
async def test_a_billed_answer_that_cannot_be_used_is_booked(tmp_path: Path, stream: bool) -> None:
    """hermes-agent#74313: dropped before accounting."""
    async with stage(tmp_path, model=ONCE) as on:
        seen = await on.turn(Fault("no_choices"), stream=stream)
    assert seen.result.outcome == "provider_failed"
    assert seen.booked("quality", "price_source") == [("measured", "ceiling")]
    assert seen.result.cost_nano_usd == seen.row["cost"] != 0


async def test_no_back_end_adds_a_turn_to_its_calls(tmp_path: Path) -> None:
    """pydantic-ai#3995: parent and child carry the same key, and back ends sum to twice the truth."""
    async with stage(tmp_path) as on:
        seen = await on.turn()
    costs = {
        key: [span.name for span in seen.spans if key in span.attributes]
        for span in seen.spans
        for key in span.attributes
        if "cost.usd" in key
    }
    assert costs == {"agent.turn.cost.usd": ["invoke_agent desk"], "agent.cost.usd": ["chat small", "chat small"]}


async def test_an_agent_that_never_answers_stops_at_its_limit(tmp_path: Path) -> None:
    """openai-agents-python#3353: thousands of unexpected calls; "hard budget guardrails, not dashboard alerts"."""
    async with stage(tmp_path, bounds={"usd_per_turn": 0.01, "steps": 1000, "tool_calls": 10_000}) as on:
        seen = await on.turn(Fault("cycle", 900, times=1000))
        requests = on.server.log.count()
    assert seen.result.outcome == "refused_budget"
    assert seen.result.cost_nano_usd <= 10_000_000
    assert requests == len(seen.ledger) < 100
