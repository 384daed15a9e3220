"""Usage to money: prices by exact key, cost and upper bound of an attempt. Pure; `Decimal` inside, integers out."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.usage import Quality


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt is charged.

    `nano_usd` is the charge in nano-dollars. `unit_prices` are the decimal USD per token that were applied, by
    kind, as text, so that the charge can be recomputed. `book_nano_usd` is the price book's number where the
    provider stated a cost of its own (then `source` is `provider`), else None.
    """

    nano_usd: int
    quality: Quality
    source: str
    unit_prices: tuple[tuple[str, str], ...] = ()
    effective: str | None = None
    book_nano_usd: int | None = None
