"""Running totals of the ledger, moved in the transaction that appends to it: what gauges show, however long it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql

from agent.store.tables import ledger_total
from agent.store.tx import Tx, Value

TotalKey: TypeAlias = tuple[str, str, str, str, str]
"""agent, model that was asked for, prompt name, prompt version, quality"""

_KEY = tuple(column.name for column in ledger_total.primary_key)
_SUMS = ("attempts", "tokens", "cost")
_key_of = itemgetter(*_KEY)

_upsert = postgresql.insert(ledger_total).values({name: bindparam(name) for name in (*_KEY, *_SUMS)})
_ADD = _upsert.on_conflict_do_update(
    index_elements=list(ledger_total.primary_key),
    set_={name: ledger_total.c[name] + _upsert.excluded[name] for name in _SUMS},
)
_COSTS = select(*ledger_total.primary_key, ledger_total.c.cost)


def add(tx: Tx, rows: Sequence[Mapping[str, Value]]) -> None:
    """Counts new rows of the ledger, each total once and in the order of the keys: another writer may do the same."""
    sums: dict[TotalKey, list[int]] = {}
    for row in rows:
        total = sums.setdefault(_key_of(row), [0, 0, 0])
        total[0] += row["kind"] != "correction"
        total[1] += _int(row["tokens"])
        total[2] += _int(row["cost"])
    tx.each(_ADD, [dict(zip(_KEY + _SUMS, (*key, *sums[key]), strict=True)) for key in sorted(sums)])


def costs(tx: Tx) -> dict[TotalKey, int]:
    """Nano-dollars."""
    return {key: _int(cost) for *key_parts, cost in tx.rows(_COSTS) if (key := _key(key_parts))}


def _key(parts: Sequence[Value]) -> TotalKey:
    agent, model, name, version, quality = map(str, parts)
    return agent, model, name, version, quality


def _int(value: Value) -> int:
    assert isinstance(value, int)
    return value
