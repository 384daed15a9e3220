"""A batch of work as one transaction: lock the rows, decide in Python, write absolute values.

Lock order, the same for everyone: new counters, turns, holds, counters by id; step rows last. No I/O but the
transaction's own and no await in here: a process frozen inside a transaction blocks the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.money import account
from agent.money.account import Counter, Granted, Refused
from agent.store import accounts, ledger, steps, turns
from agent.store.accounts import HoldRow
from agent.store.ledger import Booked, Head
from agent.store.tx import Tx, Value
from agent.store.work import Done, Reserve, Settle, Work
from telemetry.attempt import Attempt
from telemetry.pricing import Cost

REMEMBERED = 10_000
"""Counter ids at most; every turn has a counter of its own."""


class Batch:
    """Runs works for one writer. What it remembers of committed rows can't change behind it: counters are never
    deleted, and nobody else writes to this writer's chain."""

    def __init__(self, writer: str, lease: int) -> None:
        self.writer = writer
        self.lease = lease
        self._counter_ids: dict[tuple[int, str], int] = {}
        self._head: Head | None = None

    def run(self, tx: Tx, works: Sequence[Work]) -> list[Done]:
        """Decides every work, in order, inside the open transaction `tx`."""
        now = tx.now()
        asked = {id(work): self._counters_of(tx, work.reserve) for work in works if work.reserve}
        begun = [turns.begin(tx, work.begin, self.writer, now) if work.begin else None for work in works]
        # One that begins in this transaction is nobody else's yet.
        fences = turns.held_fences(tx, [work.fence for work in works if work.fence and not work.begin])
        ended, lapsed = self._end_holds(tx, works, now)
        late = ledger.booked(tx, [w.settle.attempt.id for w in works if w.settle and w.settle.attempt.id not in ended])
        counters = accounts.lock_counters(tx, _touched(asked.values(), [*ended.values(), *lapsed], late))
        before = {counter.id: counter.seq for counter in counters.values()}

        expired = tuple(_expire(hold, now) for hold in lapsed)
        rows = [_expiry(attempt, hold, counters) for attempt, hold in zip(expired, lapsed, strict=True)]
        results: list[Done] = []
        for work, conflict in zip(works, begun, strict=True):
            if work.settle:  # popped: said twice in one transaction, it is one settle
                attempt = work.settle.attempt.id
                rows += _settle(work.settle, ended.pop(attempt, None), late.pop(attempt, ()), counters)
            fenced = work.fence is not None and not work.begin and work.fence not in fences
            if fenced or conflict:
                results.append(Done(now, fenced=fenced, conflict=conflict))
                continue
            grant = self._reserve(tx, work.reserve, asked, id(work), counters, now) if work.reserve else None
            steps.write(tx, work.steps)
            if work.finish and work.fence:
                turns.finish(tx, work.fence.turn, work.finish, now)
            epoch = turns.claim(tx, work.claim.turn, self.writer) if work.claim else None
            results.append(Done(now, grant, expired=expired if work.expire else (), epoch=epoch))

        accounts.write_counters(tx, [c for c in counters.values() if c.seq != before[c.id]])
        if rows:
            self._head = ledger.append(tx, self.writer, rows, self._head or ledger.head(tx, self.writer))
        return results

    def _counters_of(self, tx: Tx, ask: Reserve) -> list[int]:
        ids = []
        for limit in ask.limits:
            key = (limit.budget, limit.subject)
            if len(self._counter_ids) > REMEMBERED:
                self._counter_ids.clear()
            found = self._counter_ids.get(key)
            if found is None:
                found = self._counter_ids[key] = accounts.counter_id(tx, limit)
            ids.append(found)
        return ids

    def forget(self) -> None:
        """After a transaction that did not commit: what was made in it does not exist."""
        self._counter_ids.clear()
        self._head = None

    def _end_holds(self, tx: Tx, works: Sequence[Work], now: int) -> tuple[dict[str, HoldRow], list[HoldRow]]:
        ended = accounts.end_holds(tx, [work.settle.attempt.id for work in works if work.settle])
        if not any(work.expire for work in works):
            return ended, []
        lapsed = accounts.end_holds(tx, accounts.lapsed(tx, now))
        return ended, list(lapsed.values())

    def _reserve(
        self,
        tx: Tx,
        ask: Reserve,
        asked: dict[int, list[int]],
        work: int,
        counters: dict[int, Counter],
        now: int,
    ) -> Granted | Refused:
        grant = account.reserve(ask.limits, [counters[i] for i in asked[work]], ask.price, ask.cap, ask.minimum)
        if isinstance(grant, Granted):
            grant = Granted(grant.cap, grant.bound, now, grant.lines)
            accounts.add_hold(tx, ask, grant, self.writer, now + self.lease)
        return grant


def _touched(
    asked: Iterable[Sequence[int]], holds: Iterable[HoldRow], late: Mapping[str, Sequence[Booked]]
) -> set[int]:
    ids = {counter for counters in asked for counter in counters}
    ids.update(line.counter for hold in holds for line in hold.lines)
    ids.update(line.counter for rows in late.values() for line in rows[0].lines())
    return ids


def _settle(
    settle: Settle, hold: HoldRow | None, rows: Sequence[Booked], counters: dict[int, Counter]
) -> list[dict[str, Value]]:
    if hold is None:
        return _correction(settle.attempt, rows, counters)
    seqs = account.end(hold.lines, counters, settle.attempt.cost.nano_usd)
    charges = ledger.charges(hold.lines, seqs)
    return [ledger.row(settle.attempt, kind=settle.kind, at=hold.at, line_charges=charges)]


def _correction(attempt: Attempt, rows: Sequence[Booked], counters: dict[int, Counter]) -> list[dict[str, Value]]:
    """A settle that comes after its hold expired states the true total; said again, it changes nothing."""
    if [row.kind for row in rows] != ["expiry"]:
        return []
    expiry = rows[0]
    difference = attempt.cost.nano_usd - expiry.cost
    seqs = account.correct(expiry.lines(), counters, difference)
    row = ledger.row(attempt, kind="correction", at=expiry.at, line_charges=ledger.charges(expiry.lines(), seqs))
    counted = row["tokens"]
    assert isinstance(counted, int)
    return [row | {"corrects": expiry.id, "cost": difference, "tokens": counted - expiry.tokens}]


def _expire(hold: HoldRow, now: int) -> Attempt:
    """Nobody knows what became of it: charged at its bound."""
    call, number, trace_id = accounts.read_dims(hold.dims)
    return Attempt(
        id=hold.attempt,
        call=call,
        number=number,
        started=hold.at,
        ended=now,
        duration=(now - hold.at) / 1e6,
        held_nano_usd=hold.bound,
        cost=Cost(hold.bound, "unknown", "bound"),
        error_type="expired",
        trace_id=trace_id,
    )


def _expiry(attempt: Attempt, hold: HoldRow, counters: dict[int, Counter]) -> dict[str, Value]:
    seqs = account.end(hold.lines, counters, hold.bound)
    row = ledger.row(attempt, kind="expiry", at=hold.at, line_charges=ledger.charges(hold.lines, seqs))
    return row | {"tokens": hold.tokens}
