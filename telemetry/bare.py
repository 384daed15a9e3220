"""Telemetry under somebody else's loop: a model call that this program didn't make, in every signal.

observer = observe(os.environ, provider="openai", model="gpt-5-mini", price="openai/gpt-5-mini")
with observer.chat() as call:
    answer = client.chat.completions.create(model="gpt-5-mini", messages=messages)
    call.answered(answer.model_dump())
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

from telemetry.attempt import Attempt, Call
from telemetry.exporters import Telemetry, setup
from telemetry.failure import error_type
from telemetry.labels import Known
from telemetry.pricing import Cost, Prices, PricingError
from telemetry.usage import Usage, read_usage

UNKNOWN_COST = Cost(0, "unknown", "none")
"""What is charged where nobody can say: shown as unknown, in no sum."""


@dataclass(slots=True)
class Observed:
    """A call under observation. `attempt` is there once its `with` has ended."""

    body: Mapping[str, object] = field(default_factory=dict)
    attempt: Attempt | None = None

    def answered(self, body: Mapping[str, object]) -> None:
        """The body of the chat completion."""
        self.body = body


@dataclass(frozen=True, slots=True)
class Observer:
    """Observes calls to one model. `telemetry` is what `agent` itself records with; close it with its `shutdown()`."""

    telemetry: Telemetry
    prices: Prices
    call: Call

    @contextmanager
    def chat(self) -> Iterator[Observed]:
        """One call: a span, which becomes a child of the current one, and its metrics. Exceptions pass through."""
        observed = Observed()
        raised: BaseException | None = None
        started, clock = time.time_ns() // 1000, time.perf_counter()
        with self.telemetry.spans.chat(replace(self.call, id=str(uuid4()))) as span:
            try:
                yield observed
            except BaseException as error:
                raised = error
                raise
            finally:
                duration = time.perf_counter() - clock
                failed = None if raised is None else error_type(raised)
                ended = self._attempt(observed.body, started, duration, failed)
                observed.attempt = replace(ended, trace_id=span.trace_id, span_id=span.span_id)
                span.finish(observed.attempt, failure=raised)
                self.telemetry.metrics.attempt(observed.attempt, span.exemplar)

    def _attempt(self, body: Mapping[str, object], started: int, duration: float, failed: str | None) -> Attempt:
        usage = read_usage(body).usage
        choices = body.get("choices")
        reasons = [c.get("finish_reason") for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
        tier = _text(body, "service_tier")
        return Attempt(
            id=str(uuid4()),
            call=self.call,
            number=1,
            started=started,
            ended=started + int(duration * 1e6),
            duration=duration,
            held_nano_usd=0,
            cost=UNKNOWN_COST if usage is None else self._cost(usage, tier),
            usage=usage,
            response_id=_text(body, "id"),
            response_model=_text(body, "model"),
            finish_reasons=tuple(reason for reason in reasons if isinstance(reason, str)),
            service_tier=tier,
            system_fingerprint=_text(body, "system_fingerprint"),
            error_type=failed,
        )

    def _cost(self, usage: Usage, service_tier: str | None) -> Cost:
        try:
            return self.prices.cost(usage, at=datetime.now(UTC), service_tier=service_tier)
        except PricingError:
            return UNKNOWN_COST


def observe(
    env: Mapping[str, str],
    *,
    provider: str,
    model: str,
    price: str,
    response_models: tuple[str, ...] = (),
    base_url: str = "",
    version: str = "0",
) -> Observer:
    """Exports as `OTEL_*` in `env` says. `base_url` is where the model is asked, else `OPENAI_BASE_URL` in `env`, else
    OpenAI's. `price` is `PROVIDER/MODEL`, an exact key of the price book; the names that
    the model answers with are labels only if they are among `response_models`. Raises `PricingError` or ValueError."""
    from telemetry.price_book import PriceBook

    server = urlsplit(base_url or env.get("OPENAI_BASE_URL") or "https://api.openai.com")
    host = server.hostname or ""
    known = Known(
        agents=frozenset({""}),
        providers=frozenset({provider}),
        models=frozenset({model, *response_models}),
        servers=frozenset({host}),
        prompts=frozenset({("", "")}),
    )
    call = Call(
        id="",
        turn_id="",
        step="",
        epoch=0,
        agent="",
        conversation_id=None,
        tenant=None,
        user=None,
        provider=provider,
        model=model,
        server_address=host,
        server_port=server.port or (80 if server.scheme == "http" else 443),
        prompt_name="",
        prompt_version="",
        prompt_digest="",
        stream=False,
    )
    return Observer(setup(env, version=version, known=known), PriceBook.load().prices(price), call)


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
