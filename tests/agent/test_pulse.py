"""The guard before paid calls, and a beat that nothing stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent import pulse as pulses
from agent.clock import boot_time
from agent.pulse import Pulse
from agent.store import expiry
from agent.store.gauges import Gauges
from agent.store.store import Lease, Store
from agent.store.tables import hold
from agent.store.tx import SqliteTx, Tx
from telemetry.labels import Known
from telemetry.metrics import Metrics
from tests.support import books
from tests.support.until import until
from tests.support.works import opened

LEASE = Lease(2.0, 0.05, 0.05)


@pytest.fixture(name="store")
async def _store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(str(tmp_path / "store.db"), LEASE, "NORMAL")
    yield store
    await store.close()


@pytest.fixture(name="pulse")
async def _pulse(store: Store) -> AsyncIterator[Pulse]:
    pulse = Pulse(store, Metrics(CollectorRegistry(), Known()))
    yield pulse
    await pulse.stop()


class Broken(Gauges):
    """Fails once, in a way that nobody thought of."""

    failed = False

    def refresh(self, tx: Tx) -> None:
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError


class Slow(Gauges):
    """Is at the store until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def refresh(self, tx: Tx) -> None:
        self.begun.set()
        assert self.go_on.wait(30)
        super().refresh(tx)


def lease(store: Store) -> int:
    [row] = books.table(store.path, "worker", where=("id", store.worker))
    return books.number(row["lease_until"])


class TestGuard:
    async def test_lets_a_call_through_while_the_lease_is_good(self, pulse: Pulse) -> None:
        assert await pulse.guard(0)

    async def test_not_in_the_last_fifth(self, pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
        now = boot_time
        monkeypatch.setattr(pulses, "boot_time", lambda: now() + 1.7)
        assert not await pulse.guard(0.01)

    async def test_waits_for_a_beat(self, pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
        now = boot_time
        monkeypatch.setattr(pulses, "boot_time", lambda: now() + 1.7)
        waiting = asyncio.create_task(pulse.guard(30))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        pulse.start()
        assert await waiting

    async def test_gives_up_at_the_turns_deadline(self, pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
        """A lease that is never renewed again must not hold a turn for ever."""
        now = boot_time
        monkeypatch.setattr(pulses, "boot_time", lambda: now() + 100)
        assert not await asyncio.wait_for(pulse.guard(0.05), 10)


async def test_goes_on_after_a_failure(store: Store, pulse: Pulse, caplog: pytest.LogCaptureFixture) -> None:
    pulse.gauges = Broken()
    pulse.start()
    await until(lambda: "ZeroDivisionError" in caplog.text)
    before = lease(store)
    await until(lambda: lease(store) > before)


async def test_stopping_waits_for_the_beat_however_often_it_is_cancelled(store: Store, pulse: Pulse) -> None:
    """The store is closed next: under a thread that is at it, SQLite crashes."""
    slow = pulse.gauges = Slow()
    pulse.start()
    assert await asyncio.to_thread(slow.begun.wait, 30)
    stopping = asyncio.create_task(pulse.stop())
    for _ in range(2):
        await asyncio.sleep(0.01)
        stopping.cancel()
    await asyncio.sleep(0.01)
    assert not stopping.done()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert "pulse" not in [thread.name for thread in threading.enumerate()]
    await store.close()


async def test_holds_that_lapsed_long_ago_end_in_the_shortest_process(store: Store, pulse: Pulse) -> None:
    """More of them than end in one transaction."""
    many = expiry.AT_ONCE + 5
    for n in range(many):
        await store.do(opened(f"t{n}", f"a{n}", None))
    store.pulse(lambda tx: tx.rows(hold.update().values(lease=0)))
    pulse.start()
    await pulse.stop()
    assert books.table(store.path, "hold") == []
    assert [row["kind"] for row in books.table(store.path, "ledger")] == ["expiry"] * many


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_set_kills_nobody(
    store: Store, pulse: Pulse, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """All leases end by it in a moment, or in an hour: each process first beats by the new time."""
    other = Store(store.path, Lease(60.0, 5.0, 1.0), "NORMAL")
    pulse.start()
    before = lease(store)
    await until(lambda: lease(store) > before)
    real = SqliteTx.now
    monkeypatch.setattr(SqliteTx, "now", lambda tx: real(tx) + hours * 3600 * 10**6)
    await until(lambda: abs(lease(store) - before) > 1800 * 10**6)
    renewed = lease(store)
    await until(lambda: lease(store) > renewed)
    assert [row["state"] for row in books.table(store.path, "worker")] == ["live", "live"]
    if hours > 0:  # who does not beat by the new time is dead, a lease later
        await until(lambda: [row["state"] for row in books.table(store.path, "worker")] == ["live", "dead"])
    await other.close()
