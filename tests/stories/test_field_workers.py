"""Several workers of one store. Users of another system saw counters that fell whenever another worker was scraped."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.request import urlopen

from agent.app import App
from agent.offline.server import OfflineModel
from telemetry.scrape import serve_metrics
from tests.support import books
from tests.support.app import running_app
from tests.support.until import until

TURNS = 6


def shown(port: int, sample: str) -> float:
    """The sum of a sample's series on one worker's page."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page: str = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^{sample}(?:{{.*}})? (\S+)$", page, re.MULTILINE))


async def test_each_worker_has_counters_of_its_own_that_never_fall(tmp_path: Path) -> None:
    """Asked in turn, each at its own port: what all have counted is what happened, and the books read alike."""
    with OfflineModel.in_thread() as server, ExitStack() as serving:
        async with running_app(tmp_path, server, tools=[]) as one, running_app(tmp_path, server, tools=[]) as other:
            workers: tuple[App, ...] = (one, other)
            pages = [serving.enter_context(closing(serve_metrics(w.services.telemetry.registry, 0))) for w in workers]
            before = [0.0, 0.0]
            for number in range(TURNS):
                await workers[number % 2].ask("My wifi is broken.")
                now = [shown(page.port, "agent_turns_total") for page in pages]
                assert all(later >= earlier for later, earlier in zip(now, before, strict=True))
                assert sum(now) == number + 1
                before = now
            assert before == [TURNS / 2, TURNS / 2]
            cost = books.total(books.table(tmp_path / "store.db", "ledger"), "cost") / 1e9
            # The books' own gauge is the same everywhere: `max by`, not a sum.
            await until(lambda: all(abs(shown(p.port, "agent_ledger_cost_usd") - cost) < 1e-9 for p in pages))
