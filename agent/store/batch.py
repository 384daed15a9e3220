"""A batch of work as one transaction: lock the rows, decide in Python, write absolute values.

Lock order, the same for everyone: new counters by key, conversations, turns, holds, counters by id; step rows and
totals last. No I/O but the transaction's own and no await in here: a process frozen inside a transaction blocks the
file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.money import account
from agent.money.account import Counter, Granted, Price, Refused, Unit
from agent.store import accounts, beginning, endings, ledger, steps, turns
from agent.store.accounts import CounterKey, HoldRow
from agent.store.expiry import Expiry
from agent.store.ledger import Booked, Head
from agent.store.tx import Tx
from agent.store.work import Done, Fence, Reserve, Work

REMEMBERED = 10_000
"""Counter ids at most; every turn has a counter of its own."""


class Batch:
    """Runs works for one writer. What it remembers of committed rows can't change behind it: counters are never
    deleted, and nobody else writes to this writer's chain."""

    def __init__(self, writer: str, lease: int) -> None:
        self.writer = writer
        self.lease = lease
        self._counter_ids: dict[CounterKey, int] = {}
        self._head: Head | None = None
        self._expiry = Expiry()

    def run(self, tx: Tx, works: Sequence[Work]) -> list[Done]:
        """Decides every work, in order, inside the open transaction `tx`."""
        now = tx.now()
        made = self._make_counters(tx, works)
        declined = beginning.begin(tx, [work.begin for work in works if work.begin], self.writer, now)
        fences = _fences(tx, works, declined)
        epochs = self._claim(tx, works, now)
        ended = accounts.end_holds(tx, [work.settle.attempt.id for work in works if work.settle])
        lapsed = self._expiry.lapsed(tx, now) if any(work.expire for work in works) else []
        late = ledger.booked(tx, [w.settle.attempt.id for w in works if w.settle and w.settle.attempt.id not in ended])
        counters = accounts.lock_counters(
            tx, self._touched(works, [*ended.values(), *(one.hold for one in lapsed)], late)
        )
        before = {counter.id: counter.seq for counter in counters.values()}

        expired, rows = self._expiry.end(tx, lapsed, counters)
        results: list[Done] = []
        for work in works:
            if work.settle:  # popped: said twice in one transaction, it is one settle
                attempt = work.settle.attempt.id
                rows += endings.settle(work.settle, ended.pop(attempt, None), late.pop(attempt, ()), counters)
            if work.begin and (no := declined.get(work.begin.turn)):
                results.append(Done(now, conflict=no.conflict, known=no.known, retry_after=no.retry_after))
            elif work.fence and work.fence not in fences:
                results.append(Done(now, fenced=True))
            else:
                grant = self._journal(tx, work, counters, now, fences)
                results.append(Done(now, grant, expired=expired if work.expire else (), epoch=epochs.get(id(work))))

        accounts.write_counters(tx, [c for c in counters.values() if c.seq != before[c.id]])
        self._drop_unused(tx, made, counters)
        if rows:
            self._head = ledger.append(tx, self.writer, rows, self._head or ledger.head(tx, self.writer))
        return results

    def forget(self) -> None:
        """After a transaction that did not commit: what was made in it does not exist."""
        self._counter_ids.clear()
        self._head = None

    def _make_counters(self, tx: Tx, works: Sequence[Work]) -> list[CounterKey]:
        """Finds the counters of all lines. The keys of those that there were none of yet."""
        if len(self._counter_ids) > REMEMBERED:
            self._counter_ids.clear()
        keys = {(limit.budget, limit.subject) for work in works if work.reserve for limit in work.reserve.limits}
        made = []
        for key in sorted([key for key in keys if key not in self._counter_ids]):
            self._counter_ids[key], new = accounts.counter_id(tx, key)
            if new:
                made.append(key)
        return made

    def _drop_unused(self, tx: Tx, made: Sequence[CounterKey], counters: Mapping[int, Counter]) -> None:
        """Whoever was refused leaves no counter behind."""
        unused = [key for key in made if not counters[self._counter_ids[key]].seq]
        accounts.drop_counters(tx, [self._counter_ids.pop(key) for key in unused])

    def _claim(self, tx: Tx, works: Sequence[Work], now: int) -> dict[int, int | None]:
        claims = [(work.claim.turn, id(work)) for work in works if work.claim]
        return {work: turns.claim(tx, turn, self.writer, now) for turn, work in sorted(claims)}

    def _journal(
        self, tx: Tx, work: Work, counters: dict[int, Counter], now: int, fences: set[Fence]
    ) -> Granted | Refused | None:
        """All that a fence guards. A turn that has ended has none that stands."""
        grant = self._reserve(tx, work.reserve, counters, now) if work.reserve else None
        steps.write(tx, work.steps)
        if work.finish and work.fence:
            turns.finish(tx, work.fence.turn, work.finish, now)
            fences.discard(work.fence)
        return grant

    def _reserve(self, tx: Tx, ask: Reserve, counters: dict[int, Counter], now: int) -> Granted | Refused:
        asked = [counters[number] for number in self._counters_of(ask)]
        prices: dict[Unit, Price] = {"usd": ask.price, "tokens": Price(ask.input_tokens, 1)}
        grant = account.reserve(ask.limits, asked, prices, ask.cap, ask.minimum)
        if isinstance(grant, Granted):
            grant = Granted(grant.cap, grant.bound, now, grant.lines)
            accounts.add_hold(tx, ask, grant, self.writer, now + self.lease)
        return grant

    def _counters_of(self, ask: Reserve) -> list[int]:
        return [self._counter_ids[limit.budget, limit.subject] for limit in ask.limits]

    def _touched(
        self, works: Sequence[Work], holds: Iterable[HoldRow], late: Mapping[str, Sequence[Booked]]
    ) -> set[int]:
        """The counters that may move."""
        ids = {counter for work in works if work.reserve for counter in self._counters_of(work.reserve)}
        ids.update(line.counter for hold in holds for line in hold.lines)
        ids.update(line.counter for rows in late.values() for line in rows[0].lines())
        return ids


def _fences(tx: Tx, works: Sequence[Work], declined: Mapping[str, object]) -> set[Fence]:
    """Those that stand. A turn that begins in this transaction is nobody else's yet."""
    own = {work.fence for work in works if work.fence and work.begin and work.begin.turn not in declined}
    return own | turns.held_fences(tx, {work.fence for work in works if work.fence and not work.begin})
