"""Generated requests, right ones and wrong ones, with a key and without: what is answered conforms to the service's own
OpenAPI document, at once, and is never a 500.

More of them: `AGENT_SCHEMA_CASES=130 pytest tests/stories/test_service_schema.py --timeout 3600` runs so many for each
of the four operations that take something, right and wrong, with a key and without: 2,084 with those of the two others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agent.offline.server import OfflineModel
from tests.support.app import write_config
from tests.support.processes import processes
from tests.support.serving import write_keys
from tests.support.supervised import Supervised, serve

CASES = int(os.environ.get("AGENT_SCHEMA_CASES", "12"))
KEY = "agk_the-key"
ANSWERS_WITHIN = 10.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("/v1/chat/completions", "POST"),
    ("/v1/models", "GET"),
    ("/v1/models/{model}", "GET"),
    ("/v1/turns/{turn_id}", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
]

bounded = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(name="service", scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    folder = tmp_path_factory.mktemp("service")
    with OfflineModel.in_thread() as model, processes() as started:
        write_keys(write_config(folder / "config", model.base_url), {KEY: {}})
        yield serve(started, folder, model)


@pytest.fixture(name="schema", scope="module")
def _schema(service: Supervised) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{service.root}/openapi.json")


@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[path for path, _ in OPERATIONS])
def test_it_does_as_it_says(
    service: Supervised, schema: BaseSchema, path: str, method: str, mode: GenerationMode, key: str | None
) -> None:
    count = 0

    @bounded
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        nonlocal count
        count += 1
        if isinstance(case.body, dict) and count % 2:  # else hardly any request would get as far as a turn
            case.body["model"] = "desk"
        headers = {"authorization": f"Bearer {key or 'wrong'}"}
        response = case.call(base_url=service.root, headers=headers, timeout=ANSWERS_WITHIN)
        case.validate_response(response, checks=CHECKS)
        if key is None:
            assert response.status_code != 200 or path in ("/healthz", "/readyz")
            requests.get(f"{service.root}/v1/models", headers={"authorization": f"Bearer {KEY}"}, timeout=10)

    try:
        ask()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:  # what has no parameters can't be asked wrongly
            raise
