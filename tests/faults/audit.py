"""What is wrong with a store in which every turn has ended, by arithmetic of its own on its tables and on the access
log of the provider. `tests.support.books` replays counters and chains; this adds what belongs to turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support import books
from tests.support.books import Value, number

Row = Mapping[str, Value]

COUNTED = {1: "", 2: "turn"}
"""Ids of budgets: of everything, and by the ledger's column."""


def findings(store: Path, requests: int, *outcomes: str) -> list[str]:
    """`requests`: how many the provider got; `outcomes`: what turns may have come to, else `answered`. Empty where all
    is well."""
    ledger, steps = books.table(store, "ledger", "id"), books.table(store, "step", "turn, position")
    turns = books.table(store, "turn")
    return [
        *books.chain_faults(store),
        *books.replay(store),
        *(f"hold of attempt {row['id']} is open" for row in books.table(store, "hold")),
        *_counters(books.table(store, "counter"), ledger),
        *_attempts(ledger, requests),
        *_turns(turns, outcomes or ("answered",)),
        *_journal(turns, steps),
    ]


def _counters(counters: Sequence[Row], ledger: Sequence[Row]) -> Iterator[str]:
    """Each counter is the sum of the ledger over its scope, and nothing is reserved."""
    scopes = {(number(row["budget"]), str(row["subject"])) for row in counters}
    if ledger and scopes != {(1, ""), *((2, str(row["turn"])) for row in ledger)}:
        yield f"counters of {scopes}"
    for row in counters:
        column = COUNTED[number(row["budget"])]
        charged = sum(number(line["cost"]) for line in ledger if not column or line[column] == row["subject"])
        if (row["settled"], row["reserved"]) != (charged, 0):
            yield f"counter {row['id']}: {row['settled']} and {row['reserved']} reserved; the ledger says {charged}"


def _attempts(ledger: Sequence[Row], requests: int) -> Iterator[str]:
    """Every attempt is booked once, corrected at most once and only where it had expired; every request is paid for."""
    by_attempt: dict[Value, list[Row]] = {}
    for row in ledger:
        by_attempt.setdefault(row["attempt"], []).append(row)
    reached = 0
    for attempt, rows in by_attempt.items():
        kinds = [row["kind"] for row in rows]
        if kinds not in (["attempt"], ["release"], ["expiry"], ["expiry", "correction"]):
            yield f"attempt {attempt} is booked as {kinds}"
        if kinds[-1] == "correction" and rows[-1]["corrects"] != rows[0]["id"]:
            yield f"attempt {attempt}: the correction is of another row"
        cost, bound = sum(number(row["cost"]) for row in rows), number(rows[0]["bound"])
        if not 0 <= cost <= bound:
            yield f"attempt {attempt}: cost {cost} of bound {bound}"
        reached += cost > 0 or rows[-1]["outcome"] not in ("ok", "cancelled", "expired")
    if reached < requests:
        yield f"{requests} requests, {reached} attempts that may have been sent"


def _turns(turns: Sequence[Row], outcomes: Sequence[str]) -> Iterator[str]:
    for turn in turns:
        if (turn["state"], turn["owner"]) != ("done", None) or turn["outcome"] not in outcomes:
            yield f"turn {turn['id']} is {turn['state']} by {turn['owner']}: {turn['outcome']}"


def _journal(turns: Sequence[Row], steps: Sequence[Row]) -> Iterator[str]:
    """The steps of a turn are there once and in order, each written at an epoch that the turn has had."""
    for (turn_id, key), times in Counter((step["turn"], step["key"]) for step in steps).items():
        if times > 1:
            yield f"step {key} of turn {turn_id}: {times} times"
    for turn in turns:
        own = [step for step in steps if step["turn"] == turn["id"]]
        if [step["position"] for step in own] != list(range(len(own))):
            yield f"turn {turn['id']}: positions {[step['position'] for step in own]}"
        epochs = [number(step["epoch"]) for step in own if step["kind"] == "model"]
        if epochs != sorted(epochs) or max(epochs, default=1) > number(turn["epoch"]):
            yield f"turn {turn['id']}: epochs {epochs} of {turn['epoch']}"
        if turn["outcome"] == "answered" and any(step["state"] == "started" for step in own):
            yield f"turn {turn['id']} was answered without an answer of all its tools"
