"""The guard before paid calls, and a beat that nothing stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent import pulse as pulses
from agent.clock import boot_time
from agent.pulse import Pulse
from agent.store.gauges import Gauges
from agent.store.store import Lease, Store
from agent.store.tx import Tx
from telemetry.labels import Known
from telemetry.metrics import Metrics
from tests.support import books
from tests.support.until import until

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

    def refresh(self, tx: Tx) -> bool:
        self.seen += 1
        if self.seen == 1:
            raise ZeroDivisionError
        return False


def lease(store: Store) -> int:
    [row] = books.table(store.path, "worker")
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
