"""A bare OpenAI call, instrumented in ten lines: the real SDK against a server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from openai import BadRequestError, OpenAI

from telemetry.bare import Observer, observe
from tests.support.received import Received

BODY = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "canary"}}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
}


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = request["messages"] == []
        body = json.dumps({"error": {"message": "canary"}} if refused else BODY).encode()
        self.send_response(400 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with OpenAI(base_url=f"http://127.0.0.1:{server.server_port}", api_key="none", max_retries=0) as client:
            yield client
        server.shutdown()
        thread.join()


@pytest.fixture
def observer(otlp_http: Received) -> Observer:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp_http.endpoint}
    return observe(env, provider="openai", model="gpt-4o-mini", price="openai/gpt-4o-mini")


def test_a_call_is_in_every_signal(client: OpenAI, observer: Observer, otlp_http: Received) -> None:
    with observer.chat() as call:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "canary"}])
        call.answered(answer.model_dump())
    observer.telemetry.shutdown()

    assert call.attempt is not None
    (span,) = otlp_http.spans
    assert (span.name, span.trace_id) == ("chat gpt-4o-mini", call.attempt.trace_id)
    assert span.attributes["gen_ai.usage.input_tokens"] == 1_000
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert span.attributes["agent.cost.usd"] == call.attempt.cost.nano_usd / 1e9 == 0.00021
    assert not [key for key in span.attributes if "prompt" in key]
    assert otlp_http.metrics["agent.cost.usd"].points[0].value == 0.00021
    assert b"canary" not in otlp_http.raw


def test_a_refused_call_fails_its_span_and_passes_through(
    client: OpenAI, observer: Observer, otlp_http: Received
) -> None:
    with pytest.raises(BadRequestError), observer.chat() as call:
        client.chat.completions.create(model="gpt-4o-mini", messages=[])
    observer.telemetry.shutdown()

    (span,) = otlp_http.spans
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "openai.BadRequestError")
    assert span.attributes["agent.cost.quality"] == "unknown"
    assert "agent.cost.usd" not in span.attributes
    (event,) = otlp_http.logs
    assert event.attributes["exception.type"] == "openai.BadRequestError"
    assert call.attempt is not None
    assert call.attempt.error_type == "openai.BadRequestError"
    assert b"canary" not in otlp_http.raw
