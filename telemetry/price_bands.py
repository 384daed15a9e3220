"""The arithmetic of one model's prices at one instant and service tier: which price each token has. Pure.

A tiered price depends on the size of the whole input: beyond a threshold every token has the dearer price. So prices
come in bands of input sizes, and within a band each kind of token has one price.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from telemetry.pricing import EXACT, UnitBound, UnknownPrice, UnusableUsage, counted, nano_usd
from telemetry.usage import Usage

INPUT_KINDS = ("input", "cache_read", "cache_write")
OUTPUT_KINDS = ("output", "reasoning", "output_audio", "output_image", "output_video")

FALLBACKS = {
    "cache_read": "input",
    "cache_write": "input",
    "input_image": "input",
    "input_video": "input",
    "reasoning": "output",
}
"""Kinds that are billed as another where a model has no price for them. Audio and what else a model puts out never
are: there the price of text would be far too low."""


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """USD per token (or per request), exact, and as the text that goes into the books."""

    usd: Decimal
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """`prices[i]` hold for inputs above `thresholds[i - 1]` up to `thresholds[i]`, by kind of token. `effective` is
    the ISO date since which, None where the book has no date."""

    key: str
    thresholds: tuple[int, ...]
    prices: tuple[Mapping[str, UnitPrice], ...]
    effective: str | None

    def charge(self, usage: Usage) -> tuple[Decimal, tuple[tuple[str, str], ...]]:
        """Exact USD, and the unit prices by kind that made it. Raises `UnusableUsage`, `UnknownPrice`."""
        input_tokens, output_tokens = counted(usage)
        prices = self.prices[bisect_left(self.thresholds, input_tokens)]
        usd, applied = Decimal(0), []
        for kind, count in _kinds(usage, input_tokens, output_tokens):
            if not count:
                continue
            price = prices.get(kind)
            if price is None:
                raise UnknownPrice(self.key, kind)
            usd = EXACT.fma(Decimal(count), price.usd, usd)
            applied.append((kind, price.text))
        if (request := prices.get("request")) is not None:
            usd = EXACT.add(usd, request.usd)
            applied.append(("request", request.text))
        return usd, tuple(applied)


@dataclass(frozen=True, slots=True, eq=False)
class Ceiling:
    """The dearest of several prices. `steps[i]` is for inputs of at most `thresholds[i]` tokens, the last for all that
    are larger: (USD of a token of input, USD of the request) of each band that such an input can be in, of equal or
    dearer ones the dearest; nano-dollars of the dearest token of output."""

    thresholds: tuple[int, ...]
    steps: tuple[tuple[tuple[tuple[Decimal, Decimal], ...], int], ...]

    def bound(self, input_tokens: int) -> UnitBound:
        """The bound over every band that an input of at most `input_tokens` can be in."""
        inputs, unit = self.steps[bisect_left(self.thresholds, input_tokens)]
        count = Decimal(input_tokens)
        return UnitBound(nano_usd(max([EXACT.fma(count, price, request) for price, request in inputs]), "up"), unit)


def ceiling(several: Sequence[Bands]) -> Ceiling:
    """Raises `UnknownPrice`."""
    thresholds = tuple(sorted({threshold for bands in several for threshold in bands.thresholds}))
    return Ceiling(thresholds, tuple(_step(several, largest) for largest in (*thresholds, None)))


def _step(several: Sequence[Bands], largest: int | None) -> tuple[tuple[tuple[Decimal, Decimal], ...], int]:
    inputs: list[tuple[Decimal, Decimal]] = []
    units: list[Decimal] = []
    for bands in several:
        reachable = None if largest is None else bisect_left(bands.thresholds, largest) + 1
        for prices in bands.prices[:reachable]:
            request = prices["request"].usd if "request" in prices else Decimal(0)
            inputs.append((max(_stated(bands.key, prices, INPUT_KINDS)), request))
            units += _stated(bands.key, prices, OUTPUT_KINDS)
    dearest = [one for one in set(inputs) if not any(_dearer(other, one) for other in inputs)]
    return tuple(dearest), nano_usd(max(units), "up")


def _dearer(one: tuple[Decimal, Decimal], other: tuple[Decimal, Decimal]) -> bool:
    """Whatever the size of the input."""
    return one != other and one[0] >= other[0] and one[1] >= other[1]


def _stated(key: str, prices: Mapping[str, UnitPrice], kinds: tuple[str, ...]) -> list[Decimal]:
    if kinds[0] not in prices:
        raise UnknownPrice(key, kinds[0])
    return [prices[kind].usd for kind in kinds if kind in prices]


def _kinds(usage: Usage, input_tokens: int, output_tokens: int) -> Iterator[tuple[str, int]]:
    """Every token once, as the kind that it is billed as."""
    text = {"input": input_tokens, "output": output_tokens}
    for side, modality, count in usage.by_modality:
        yield f"{side}_{modality}", count
        text[side] -= count
    if text["input"] < 0 or text["output"] < 0:
        raise UnusableUsage(f"tokens by modality exceed their side in {usage}")
    # Whether a cached token was text or sound nobody says. Text, as far as that reaches: it has the smaller discount.
    read = min(usage.cache_read_tokens or 0, text["input"])
    written = min(usage.cache_write_tokens or 0, text["input"] - read)
    reasoning = min(usage.reasoning_tokens or 0, text["output"])
    yield "input", text["input"] - read - written
    yield "cache_read", read
    yield "cache_write", written
    yield "output", text["output"] - reasoning
    yield "reasoning", reasoning
