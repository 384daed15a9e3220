"""A running agent, scraped by a real Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

from agent.models.tool_calls import MOST_CALLS
from agent.offline.faults import Fault
from agent.store.store import Lease, Store
from agent.store.work import Work
from telemetry.attempt import Attempt
from telemetry.scrape import serve_metrics
from tests.stories.support import QUESTION, Collector, Told, telling
from tests.support.conformance import METRICS, prometheus_name
from tests.support.prometheus import Prometheus, promtool_problems
from tests.support.servers import refusing_port
from tests.support.stage import answer, call, calls
from tests.support.works import everything, reserve, settle

LATER = {
    "agent.budget.scopes",  # budgets of tenants and users
    "agent.budget.alarms",
    "agent.outbox.waiting",
    "agent.outbox.dead",
    "agent.prompt.generation",  # prompt releases
    "agent.config.generation",
    "http.server.request.duration",  # of the service, which tests of its own show
}
"""What the contract has for parts that are not there yet."""

CACHED = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
}
NAMES = 10_000
Start = Callable[..., Prometheus]


async def test_a_real_prometheus_scrapes_it(tmp_path: Path, http_collector: Collector, prometheus: Start) -> None:
    with refusing_port() as nowhere:
        env = {
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"http://127.0.0.1:{nowhere}",
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "0.1",
        }
        async with telling(tmp_path, http_collector, chain={"spare": {}}, env=env) as told:
            telemetry = told.app.services.telemetry
            with closing(serve_metrics(telemetry.registry, 0)) as server:
                await somebody_dies(tmp_path / "store.db")
                scraping = await asyncio.to_thread(prometheus, f"127.0.0.1:{server.port}")
                await everything_happens(told)
                await asyncio.to_thread(telemetry.flush)
                await asyncio.to_thread(scraping.wait_scraped)
                assert without_data(scraping, METRICS.keys() - LATER) == set()
                assert promtool_problems(scraped(server.port)) == []
                await made_up_names(told, range(20))  # all of them are `other`, which has series of its own
                await asyncio.to_thread(scraping.wait_scraped)
                before = scraping.value('count({job="test"})')
                await made_up_names(told, range(20, NAMES))
                await asyncio.to_thread(scraping.wait_scraped)
                assert scraping.value('count({job="test"})') == before
                assert scraping.value('sum(agent_tool_rejections_total{gen_ai_tool_name="other"})') >= NAMES
                exemplars = scraping.query_exemplars('{job="test"}')
    exported = {(span.trace_id, span.span_id) for span in http_collector.received.spans}
    assert {series.series["__name__"] for series in exemplars} >= {
        "agent_cost_usd_total",
        "agent_turns_total",
        "agent_retries_total",
        "agent_turn_cost_usd_bucket",
        "gen_ai_client_inference_duration_seconds_bucket",
        "gen_ai_invoke_agent_duration_seconds_bucket",
        "gen_ai_execute_tool_duration_seconds_bucket",
    }
    assert {(e.labels["trace_id"], e.labels["span_id"]) for e in exemplars} <= exported


async def everything_happens(told: Told) -> None:
    """Once each: whatever the contract has a metric for."""
    faults = told.server.faults
    await told.app.ask(QUESTION)
    for unlucky in (
        [Fault("status", 503), Fault("unknown_tool")],
        [Fault("status", 429, times=3)],
        [Fault("repeated_calls", times=10)],
        [answer(True, usage=CACHED)],
        [Fault("stated_cost", 9.9999)],  # beyond what was held; the next call is refused
    ):
        faults.push(*unlucky)
        await told.app.ask(QUESTION)
        faults.clear()


async def somebody_dies(path: Path) -> None:
    """A process that leaves a hold behind, which is over long before Prometheus scrapes for the first time."""
    store = Store(str(path), Lease(length=0.1), "NORMAL")
    await store.do(Work(reserve=reserve("orphan", "t", everything(None))))
    await store.close()


async def made_up_names(told: Told, numbers: range) -> None:
    """Tools that a model invents, models that an answer says it is from."""
    for some in (numbers[start : start + MOST_CALLS] for start in range(0, len(numbers), MOST_CALLS)):
        told.server.faults.push(calls(True, *(call(f"invented_{i}", "{}", f"call_{i}") for i in some)))
        await told.app.ask(QUESTION)
    metrics = told.app.services.telemetry.metrics
    attempt = settle("a", "t", 1).attempt
    for i in numbers:
        metrics.attempt(invented(attempt, i))
        metrics.tool("desk", f"invented_{i}", 0.1, f"Invented{i}Error")


def invented(attempt: Attempt, i: int) -> Attempt:
    name = f"made-up-{i}"
    call = replace(attempt.call, model=name, provider=name, server_address=name, prompt_name=name, agent=name)
    return replace(attempt, call=call, response_model=name, error_type=name)


def without_data(prometheus: Prometheus, metrics: Iterable[str]) -> set[str]:
    counted = {name: "_count" if METRICS[name].kind == "histogram" else "" for name in metrics}
    return {name for name, suffix in counted.items() if not prometheus.query(prometheus_name(name) + suffix)}


def scraped(port: int) -> str:
    request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "text/plain"})
    with urlopen(request) as response:
        body: bytes = response.read()
        return body.decode()
