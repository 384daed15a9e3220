from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.support import Collector
from tests.support import otlp
from tests.support.received import Received


@pytest.fixture(name="collector", params=["http", "grpc"])
def _collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    """Whatever arrives at it must conform."""
    if request.param == "grpc":
        with otlp.otlp_grpc() as received:
            yield Collector(received, "grpc")
            return
    with otlp.otlp_http() as received:
        yield Collector(received)


@pytest.fixture(name="http_collector")
def _http_collector(otlp_http: Received) -> Collector:
    return Collector(otlp_http)
