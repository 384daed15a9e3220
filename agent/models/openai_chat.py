"""Chat Completions through the OpenAI SDK: one HTTP request per `send`, read as bytes.

The SDK's authentication, headers and typed errors are used (`sdk.py`), its models are not: the body is left to us, so
that streamed, unstreamed and mislabelled answers take one way and what had arrived before an error is not lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, cast

from agent.config import FailureKind, ModelConfig
from agent.config.cross_checks import RESERVED_PARAMETERS
from agent.models import wire
from agent.models.answer import AnswerReader
from agent.models.assemble import Assembly
from agent.models.bodies import parse
from agent.models.clock import Clock
from agent.models.failures import broken, refused, usable
from agent.models.protocol import Arrived, CallFailed, Draft, OnText, Request
from agent.models.retry_after import retry_after
from agent.types import Json, Reply

if TYPE_CHECKING:
    import httpx2
    import openai

    from agent.models.transport import Body

_NO_CONTENT = (204, 205)
"""Statuses of an answer that has no body: whoever answers so does not know the question."""

_SECRET = 12
"""Characters from which on a key is one: shorter ones are placeholders for endpoints that ask for none."""


class OpenAIChat:
    """A `Model`. Without `api_key` no authorization is sent. Raises ValueError for reserved `parameters`."""

    def __init__(self, config: ModelConfig, api_key: str | None, base_url: str | None = None) -> None:
        from agent.models.sdk import AsyncOpenAI

        if reserved := sorted(RESERVED_PARAMETERS & config.parameters.keys()):
            raise ValueError(f"parameters may not set {', '.join(reserved)}")
        self._config = config
        self._key = api_key if api_key and len(api_key) >= _SECRET else None
        self._client = AsyncOpenAI(base_url or config.base_url, api_key, config.timeouts.connect)

    @property
    def config(self) -> ModelConfig:
        return self._config

    def encode(self, request: Request, earlier: tuple[Request, Draft] | None = None) -> Draft:
        return wire.draft(request, self._config, earlier)

    async def send(
        self,
        body: bytes,
        *,
        stream: bool,
        on_text: OnText,
        time_limit: float,
        arrived: Arrived,
    ) -> Reply:
        if time_limit <= 0:
            raise broken("timeout", "deadline", "Out of time.", arrived, "no")
        clock = Clock(self._config.timeouts, time_limit)
        assembly = Assembly(arrived, self._key)
        reader = AnswerReader(assembly, clock, on_text, perf_counter())
        try:
            clock.await_first_byte()
            async with clock:
                arrived.sent = True
                response = await self._client.ask(body)
                content = cast("Body", response.stream)
                try:
                    if response.status_code in _NO_CONTENT:
                        raise refused(None, response.status_code, arrived)
                    await reader.read(content, response.headers.get("content-type", ""), stream)
                finally:
                    content.close()
        except CallFailed as failure:
            raise self._without_key(failure) from failure.__cause__
        except Exception as error:  # whatever a provider sends, it is the answer that failed and not the turn
            if error is reader.consumer_error:
                raise
            if not assembly.ended:
                raise self._without_key(_failed(error, clock, arrived)) from error
        return usable(arrived.reply())

    def _without_key(self, failure: CallFailed) -> CallFailed:
        """What a provider calls an error is shown and exported; one repeats the key that it refuses."""
        if self._key and self._key.lower() in failure.error_type.lower():
            failure.error_type = f"http_{failure.status}" if failure.status else "error_in_answer"
        return failure

    async def close(self) -> None:
        await self._client.close()


def _failed(error: Exception, clock: Clock, arrived: Arrived) -> CallFailed:
    import httpx2
    import openai

    if isinstance(error, TimeoutError) and clock.expired():
        return broken("timeout", clock.running, "Out of time.", arrived)
    if isinstance(error, openai.APIStatusError):
        response = error.response
        wait = retry_after(response.headers, datetime.now(UTC))
        return refused(_error_body(response.content), error.status_code, arrived, wait)
    if isinstance(error, openai.APIError | httpx2.RequestError):
        return _disconnected(error, arrived)
    return broken("malformed", type(error).__name__, str(error), arrived)


def _disconnected(error: openai.APIError | httpx2.RequestError, arrived: Arrived) -> CallFailed:
    import httpx2
    import openai

    cause = error.__cause__ if isinstance(error, openai.APIError) else error
    root = (cause and cause.__cause__) or cause or error
    if isinstance(cause, httpx2.ConnectTimeout):
        return broken("timeout", "connect_timeout", str(root), arrived, "no")
    if isinstance(cause, httpx2.ConnectError):
        return broken("connection", type(root).__name__, str(root), arrived, "no")
    kind: FailureKind = "malformed" if isinstance(cause, httpx2.DecodingError) else "connection"
    return broken(kind, type(root).__name__, str(root), arrived)


def _error_body(content: bytes) -> Json:
    """JSON whatever the content type says, else the text."""
    try:
        return parse(content)
    except ValueError:
        return content.decode("utf-8", "replace")
