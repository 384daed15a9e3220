"""A whole agent that exports everything to a collector: `async with telling(tmp_path, collector) as told`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

from agent.app import App
from agent.offline.server import OfflineModel
from tests.support import tree
from tests.support.app import Overrides, running_app
from tests.support.conformance import Finding, check, check_events, check_metrics
from tests.support.received import Received

QUESTION = "I'm user U-123 and my laptop will not connect to wifi."
HELPDESK = ["agent.tools.helpdesk"]
"""The example's own tools; without them a desk has those of `tests.support.desk`."""


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector and how it is spoken to."""

    received: Received
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "OTEL_SDK_DISABLED": "false",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.received.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
        }

    @property
    def tree(self) -> str:
        return tree.render(self.received.spans)

    def findings(self, *, content_captured: bool = False) -> list[Finding]:
        """What the conformance check has to say of all that arrived."""
        return [
            *check(self.received.spans, content_captured=content_captured),
            *check_events(self.received.logs, content_captured=content_captured),
            *check_metrics(self.received.metrics),
        ]


@dataclass(frozen=True, slots=True)
class Told:
    """All that was told is at the collector once `telling` has ended."""

    app: App
    server: OfflineModel


@contextlib.asynccontextmanager
async def telling(tmp_path: Path, collector: Collector, **overrides: Unpack[Overrides]) -> AsyncIterator[Told]:
    """Again with the same `tmp_path`: another process of the same store, as it were."""
    asked: Overrides = {"tools": HELPDESK, **overrides, "env": {**collector.env, **overrides.get("env", {})}}
    async with OfflineModel() as server, running_app(tmp_path, server, **asked) as app:
        yield Told(app, server)
