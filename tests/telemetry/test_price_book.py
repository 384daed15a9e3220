"""The traps of `genai-prices` one by one, with its real data."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices.data import providers
from genai_prices.types import ClauseEquals, ConditionalPrice, ModelInfo, ModelPrice, TieredPrices, TimeOfDateConstraint

from telemetry.price_book import ModelPrices, PriceBook
from telemetry.pricing import UnitBound, UnknownPrice, UnknownTier, UnusableUsage, ZeroPrice
from telemetry.usage import Usage

BOOK = PriceBook.load()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def nano(prices: ModelPrices, usage: Usage, at: datetime = NOW, service_tier: str | None = None) -> int:
    return prices.cost(usage, at=at, service_tier=service_tier).nano_usd


# --- what is charged -------------------------------------------------------------------------------------------------


def test_cached_tokens_are_priced_once() -> None:
    """litellm#14849: 262,960 prompt tokens of which 257,955 were cached, 1,744 out."""
    cost = BOOK.prices("openai/gpt-5").cost(Usage(262_960, 1_744, 257_955), at=NOW, service_tier=None)
    usd = 5_005 * Decimal("0.00000125") + 257_955 * Decimal("0.000000125") + 1_744 * Decimal("0.00001")
    assert usd == Decimal("0.055940625")
    assert cost.nano_usd == 55_940_625
    assert cost.unit_prices == (("input", "0.00000125"), ("cache_read", "0.000000125"), ("output", "0.00001"))
    assert (cost.quality, cost.effective) == ("measured", None)
    assert cost.source.startswith("genai-prices ")


def test_reasoning_tokens_are_priced_once() -> None:
    plain = nano(BOOK.prices("openai/gpt-5"), Usage(10, 1_000))
    assert nano(BOOK.prices("openai/gpt-5"), Usage(10, 1_000, reasoning_tokens=900)) == plain
    own_price = BOOK.prices("openrouter/perplexity/sonar-deep-research")
    assert nano(own_price, Usage(0, 1_000, reasoning_tokens=900)) == 100 * 8_000 + 900 * 3_000


def test_written_tokens_cost_more_than_fresh_ones() -> None:
    assert nano(BOOK.prices("openai/gpt-5.6-sol"), Usage(1_000, 0, 0, 400)) == 600 * 4_000 + 400 * 5_000


@pytest.mark.parametrize(
    ("input_tokens", "expected"),
    [
        (271_999, 271_999 * 4_000 + 10 * 20_000),
        (272_000, 272_000 * 4_000 + 10 * 20_000),
        (272_001, 272_001 * 8_000 + 10 * 30_000),
    ],
)
def test_beyond_a_threshold_every_token_has_the_dearer_price(input_tokens: int, expected: int) -> None:
    assert nano(BOOK.prices("openai/gpt-5.6-sol"), Usage(input_tokens, 10)) == expected


@pytest.mark.parametrize(
    ("at", "input_price", "effective"),
    [
        (datetime(2026, 8, 20, 23, 59, 59, 999_999, UTC), "0.000005", None),
        (datetime(2026, 8, 21, tzinfo=UTC), "0.000004", "2026-08-21"),
        (datetime(2026, 8, 21, 1, 59, 59, tzinfo=timezone(timedelta(hours=2))), "0.000005", None),
        (datetime(2026, 8, 20, 22, 0, 0, tzinfo=timezone(timedelta(hours=-2))), "0.000004", "2026-08-21"),
    ],
)
def test_a_price_change_in_mid_life(at: datetime, input_price: str, effective: str | None) -> None:
    cost = BOOK.prices("openai/gpt-5.6-sol").cost(Usage(1_000, 0), at=at, service_tier=None)
    assert (cost.unit_prices, cost.effective) == ((("input", input_price),), effective)


@pytest.mark.parametrize(
    ("clock", "input_price"),
    [("00:29:59", "0.000000135"), ("00:30:00", "0.00000027"), ("16:29:59", "0.00000027"), ("16:30:00", "0.000000135")],
)
def test_a_price_by_the_time_of_day(clock: str, input_price: str) -> None:
    at = datetime.fromisoformat(f"2026-11-20T{clock}+00:00")
    cost = BOOK.prices("deepseek/deepseek-chat").cost(Usage(1_000, 0), at=at, service_tier=None)
    assert cost.unit_prices == (("input", input_price),)


def test_times_of_day_are_whole_minutes() -> None:
    """Resolved prices are kept by the minute."""
    for model in (model for provider in providers for model in provider.models):
        entries = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
        for constraint in (entry.constraint for entry in entries):
            if isinstance(constraint, TimeOfDateConstraint):
                assert constraint.start_time.second == constraint.start_time.microsecond == 0
                assert constraint.end_time.second == constraint.end_time.microsecond == 0


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        nano(BOOK.prices("openai/gpt-5"), Usage(1, 1), at=datetime(2026, 11, 20))


def test_a_price_per_request_is_part_of_cost_and_bound() -> None:
    sonar = BOOK.prices("perplexity/sonar")
    cost = sonar.cost(Usage(100, 10), at=NOW, service_tier=None)
    assert cost.nano_usd == 110 * 1_000 + 12_000_000
    assert cost.unit_prices[-1] == ("request", "0.012")
    assert sonar.bound(input_tokens=100, at=NOW) == UnitBound(100 * 1_000 + 12_000_000, 1_000)


# --- service tiers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", [None, "", "default", "auto", "standard", "on_demand"])
def test_the_standard_tier_has_many_names(tier: str | None) -> None:
    assert nano(BOOK.prices("openai/gpt-5"), Usage(1_000, 100), service_tier=tier) == 1_000 * 1_250 + 100 * 10_000


def test_priority_is_twice_and_flex_half() -> None:
    gpt_5 = BOOK.prices("openai/gpt-5")
    standard = nano(gpt_5, Usage(1_000, 100, 500))
    assert nano(gpt_5, Usage(1_000, 100, 500), service_tier="priority") == 2 * standard
    assert nano(gpt_5, Usage(1_000, 100, 500), service_tier="flex") * 2 == standard
    assert gpt_5.cost(Usage(1, 1), at=NOW, service_tier="flex").effective == "2026-10-12"
    sol = BOOK.prices("openai/gpt-5.6-sol").cost(Usage(1, 1), at=NOW, service_tier="priority")
    assert sol.effective == "2026-10-12"


@pytest.mark.parametrize("tier", ["batch", "nonsense", "Priority", "scale"])
def test_an_unknown_tier_is_refused(tier: str) -> None:
    with pytest.raises(UnknownTier) as raised:
        nano(BOOK.prices("openai/gpt-5"), Usage(1, 1), service_tier=tier)
    assert (raised.value.key, raised.value.service_tier) == ("openai/gpt-5", tier)
    assert raised.value.known == ("fast", "flex", "priority")


def test_a_tier_before_its_price_is_known_is_refused() -> None:
    with pytest.raises(UnknownTier) as raised:
        nano(BOOK.prices("openai/gpt-5"), Usage(1, 1), datetime(2026, 10, 11, tzinfo=UTC), "priority")
    assert raised.value.known == ()


def test_a_bound_covers_every_tier_unless_told_which() -> None:
    gpt_5 = BOOK.prices("openai/gpt-5")
    assert gpt_5.bound(input_tokens=1_000, at=NOW) == UnitBound(2_500_000, 20_000)
    assert gpt_5.bound(input_tokens=1_000, at=NOW, service_tiers={"priority"}) == UnitBound(2_500_000, 20_000)
    assert gpt_5.bound(input_tokens=1_000, at=NOW, service_tiers=set()) == UnitBound(1_250_000, 10_000)
    assert gpt_5.bound(input_tokens=1_000, at=NOW, service_tiers={"default"}) == UnitBound(1_250_000, 10_000)
    assert gpt_5.bound(input_tokens=1_000, at=NOW, service_tiers={"flex"}) == UnitBound(1_250_000, 10_000)
    with pytest.raises(UnknownTier):
        gpt_5.bound(input_tokens=1_000, at=NOW, service_tiers={"nonsense"})


@pytest.mark.parametrize(
    ("input_tokens", "base", "unit"),
    [(272_000, 272_000 * 5_000, 20_000), (272_001, 272_001 * 10_000, 30_000)],
)
def test_a_bound_takes_the_dearest_price_of_the_bands_in_reach(input_tokens: int, base: int, unit: int) -> None:
    bound = BOOK.prices("openai/gpt-5.6-sol").bound(input_tokens=input_tokens, at=NOW, service_tiers=set())
    assert bound == UnitBound(base, unit)


def test_a_bound_covers_what_a_model_puts_out_unasked() -> None:
    painter = BOOK.prices("google/gemini-2.5-flash-image")
    assert painter.bound(input_tokens=1_000, at=NOW, service_tiers=set()) == UnitBound(300_000, 30_000)


# --- what has no price -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "close"),
    [
        ("openai/gpt-4o-mini-realtime-x", "openai/gpt-4o-mini"),
        ("anthropic/claude-sonnet-4-5-x", "anthropic/claude-sonnet-4-5"),
        ("openai/gpt-5-2025-08-07", "openai/gpt-5"),
        ("openai/GPT-5", "openai/gpt-5"),
        ("openai/gpt-5 ", "openai/gpt-5"),
        ("azure/gpt-5", "openai/gpt-5"),
        ("gpt-5", None),
        ("", None),
    ],
)
def test_keys_are_exact(key: str, close: str | None) -> None:
    with pytest.raises(UnknownPrice) as raised:
        BOOK.prices(key)
    assert raised.value.key == key
    assert len(raised.value.close) <= 3
    assert repr(key) in str(raised.value)
    if close:
        assert any(name.startswith(close) for name in raised.value.close), raised.value.close


@pytest.mark.parametrize("key", ["openrouter/deepseek/deepseek-r1:free", "github-copilot/gpt-4o", "google/gemma-3"])
def test_a_price_of_nothing_is_refused(key: str) -> None:
    with pytest.raises(ZeroPrice) as raised:
        BOOK.prices(key)
    assert raised.value.key == key


def test_a_zero_anywhere_in_a_model_s_entries_is_refused() -> None:
    fine = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))
    for zero in (
        ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(2)),
        ModelPrice(input_mtok=Decimal(1), output_mtok=TieredPrices(base=Decimal(0), tiers=[])),
        ModelPrice(),
    ):
        dated = [ConditionalPrice(prices=fine), ConditionalPrice(prices=zero)]
        model = ModelInfo(id="m", match=ClauseEquals("m"), prices=dated)
        with pytest.raises(ZeroPrice):
            ModelPrices("p/m", model, "test")


@pytest.mark.parametrize("modality", [("input", "audio", 5), ("output", "audio", 5), ("output", "image", 5)])
def test_what_has_no_price_of_its_own_is_not_priced_as_text(modality: tuple[str, str, int]) -> None:
    side, name, count = modality
    usage = Usage(10, 10, by_modality=(("input" if side == "input" else "output", name, count),))
    with pytest.raises(UnknownPrice) as raised:
        nano(BOOK.prices("openai/gpt-5"), usage)
    assert (raised.value.key, raised.value.kind) == ("openai/gpt-5", f"{side}_{name}")


def test_audio_and_pictures_at_their_prices() -> None:
    flash = BOOK.prices("google/gemini-2.5-flash")
    assert nano(flash, Usage(100, 0, by_modality=(("input", "audio", 60),))) == 40 * 300 + 60 * 1_000
    assert nano(flash, Usage(100, 0, by_modality=(("input", "image", 60),))) == 100 * 300


def test_a_cached_token_is_text_as_far_as_text_reaches() -> None:
    usage = Usage(100, 0, 70, by_modality=(("input", "audio", 60),))
    assert nano(BOOK.prices("google/gemini-2.5-flash"), usage) == 40 * 30 + 60 * 1_000


def test_more_of_a_modality_than_of_its_side_is_refused() -> None:
    with pytest.raises(UnusableUsage):
        nano(BOOK.prices("google/gemini-2.5-flash"), Usage(10, 0, by_modality=(("input", "audio", 11),)))


def test_a_model_that_has_no_price_for_answers_has_no_bound() -> None:
    embedding = BOOK.prices("openai/text-embedding-3-small")
    assert nano(embedding, Usage(1_000, 0)) == 20_000
    with pytest.raises(UnknownPrice):
        embedding.bound(input_tokens=10, at=NOW)
    with pytest.raises(UnknownPrice):
        BOOK.prices("groq/whisper-large-v3").bound(input_tokens=10, at=NOW)


def test_importing_loads_no_prices() -> None:
    code = "import sys, telemetry.price_book; sys.exit('genai_prices' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
