"""The README's ten lines under somebody else's loop, as they stand there."""

from __future__ import annotations

from agent.offline.server import OfflineModel
from tests.stories.readme import block
from tests.stories.support import Collector
from tests.support.processes import Processes


def test_a_bare_call_is_seen_in_every_signal(http_collector: Collector, processes: Processes) -> None:
    code = block("Under your own loop", "python")
    assert len(code.splitlines()) <= 10
    with OfflineModel.in_thread() as server:
        env = {**http_collector.env, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none"}
        process = processes.python("-c", code, env=env)
        assert process.wait() == 0, process.stderr
        (asked,) = server.log.accesses
        url = server.base_url
    (span,) = http_collector.received.spans
    assert span.name == f"chat {asked.model}"
    assert span.attributes["gen_ai.usage.output_tokens"] == asked.output_tokens
    assert f"http://{span.attributes['server.address']!s}:{span.attributes['server.port']!s}/v1" == url
    cost = http_collector.received.metrics["agent.cost.usd"].points[0]
    assert cost.value == span.attributes["agent.cost.usd"]
    assert cost.attributes["agent.cost.quality"] == "measured"
    assert http_collector.findings() == []
