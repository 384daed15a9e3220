"""What a store's file says, read without the program's own code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

Value: TypeAlias = int | str | None
Line: TypeAlias = tuple[int, int, int, int | None, str, int]
"""Counter, asked, seq in, limit in force, unit, seq out: one element of a ledger row's `charges`."""

_FORMAT_1 = """
attempt kind corrects at ended tenant user_id conversation turn step epoch call number agent provider model
response_model service_tier prompt_name prompt_version prompt_digest input_tokens cache_read_tokens cache_write_tokens
output_tokens reasoning_tokens modalities unit_prices price_source price_effective quality cost book_cost tokens bound
outcome charges trace_id span_id reason made_by format writer n
"""
FORMATS: Mapping[Value, Sequence[str]] = {1: _FORMAT_1.split()}
"""What a digest covers. Copied once and never changed: the digests of yesterday's rows don't change either."""

_TOTAL = ("agent", "model", "prompt_name", "prompt_version", "quality")


def table(
    path: Path | str, name: str, order: str = "rowid", where: tuple[str, Value] = ("1", 1)
) -> list[dict[str, Value]]:
    """Every row of a table in which the column of `where` has that value."""
    column, value = where
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {name} WHERE {column} = ? ORDER BY {order}", (value,))
        return [dict(row) for row in found]


def number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def total(rows: Sequence[Mapping[str, Value]], column: str) -> int:
    return sum(number(row[column]) for row in rows)


def lines(row: Mapping[str, Value]) -> list[Line]:
    return [tuple(line) for line in json.loads(str(row["charges"]))]


def chain_faults(path: Path | str) -> list[str]:
    """Recomputes every writer's chain of digests, and compares its head: what does not fit."""
    faults = []
    heads = {str(row["id"]): row for row in table(path, "writer")}
    chains: dict[str, tuple[int, str]] = {}
    for row in table(path, "ledger", "writer, n"):
        writer = str(row["writer"])
        n, digest = chains.get(writer, (0, sha256(b"").hexdigest()))
        values = [row[name] for name in FORMATS[row["format"]]]
        written = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        expected = sha256((digest + written).encode()).hexdigest()
        if row["n"] != n + 1:
            faults.append(f"writer {writer}: row {row['n']} follows row {n}")
        if row["digest"] != expected:
            faults.append(f"ledger row {row['id']}: digest")
        chains[writer] = (number(row["n"]), str(row["digest"]))
    for writer, head in heads.items():
        if (head["n"], head["digest"]) != chains.get(writer, (0, sha256(b"").hexdigest())):
            faults.append(f"writer {writer}: head")
    return faults


def replay(path: Path | str) -> list[str]:
    """Replays every counter from the ledger and the open holds: gaps in its serial order, sums that differ, and every
    admission that overspent the limit of its line."""
    moves: dict[int, list[tuple[int, int, int, int | None]]] = {}  # counter: (seq, settled, reserved, limit)
    booked = table(path, "ledger", "id")
    for row in booked:
        for counter, asked, seq_in, limit, unit, seq_out in lines(row):
            if row["kind"] != "correction":
                moves.setdefault(counter, []).append((seq_in, 0, asked, limit))
            freed = 0 if row["kind"] == "correction" else -asked
            amount = number(row[{"usd": "cost", "tokens": "tokens"}[unit]])
            moves.setdefault(counter, []).append((seq_out, amount, freed, None))
    for row in table(path, "hold"):
        for counter, asked, seq_in, limit, _ in json.loads(str(row["lines"])):
            moves.setdefault(counter, []).append((seq_in, 0, asked, limit))
    faults = []
    for row in table(path, "counter"):
        settled = reserved = 0
        ordered = sorted(moves.get(number(row["id"]), []))
        if [move[0] for move in ordered] != list(range(1, number(row["seq"]) + 1)):
            faults.append(f"counter {row['id']}: seq has gaps or repetitions")
        for seq, cost, asked, limit in ordered:
            settled, reserved = settled + cost, reserved + asked
            if limit is not None and settled + reserved > limit:
                faults.append(f"counter {row['id']}: {settled} + {reserved} > {limit} at {seq}")
        if (row["settled"], row["reserved"]) != (settled, reserved):
            faults.append(f"counter {row['id']}: {row['settled']}, {row['reserved']} is not {settled}, {reserved}")
    return faults


def total_faults(path: Path | str) -> list[str]:
    """Sums the ledger up, and compares its running totals: what differs."""
    sums: dict[tuple[Value, ...], list[int]] = {}
    for row in table(path, "ledger"):
        total = sums.setdefault(tuple(row[name] for name in _TOTAL), [0, 0, 0])
        for place, part in enumerate((row["kind"] != "correction", row["tokens"], row["cost"])):
            total[place] += number(part)
    kept = {
        tuple(row[name] for name in _TOTAL): [number(row[name]) for name in ("attempts", "tokens", "cost")]
        for row in table(path, "ledger_total")
    }
    return [
        f"{key}: {kept.get(key)} is not {sums.get(key)}" for key in {*sums, *kept} if kept.get(key) != sums.get(key)
    ]


def said(turn: Mapping[str, Value]) -> str | None:
    """The text that a turn came to."""
    text = json.loads(str(turn["result"]))["text"] if turn["result"] else None
    assert text is None or isinstance(text, str)
    return text
