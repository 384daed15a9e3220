"""Chat Completions through the OpenAI SDK: one HTTP request per `send`, read as bytes.

The SDK's authentication, headers and typed errors are used (`sdk.py`), its models are not: the body is left to us, so
that streamed, unstreamed and mislabelled answers take one way and what had arrived before an error is not lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, cast

from agent.config import FailureKind, ModelConfig
from agent.models import wire
from agent.models.answer import AnswerReader
from agent.models.assemble import Assembly
from agent.models.bodies import parse
from agent.models.clock import Clock
from agent.models.failures import broken, refused
from agent.models.protocol import Arrived, CallFailed, Draft, OnText, Request
from agent.models.retry_after import retry_after
from agent.types import Json, Reply

if TYPE_CHECKING:
    import httpx2
    import openai

    from agent.models.transport import Body


class OpenAIChat:
    """A `Model`. Without `api_key` no authorization is sent. Raises ValueError for reserved `parameters`."""

    def __init__(self, config: ModelConfig, api_key: str | None, base_url: str | None = None) -> None:
        from agent.models.sdk import AsyncOpenAI

        if reserved := sorted(wire.RESERVED & config.parameters.keys()):
            raise ValueError(f"parameters may not set {', '.join(reserved)}")
        self._config = config
        self._client = AsyncOpenAI(base_url or config.base_url, api_key, config.timeouts.connect)

    @property
    def config(self) -> ModelConfig:
        return self._config

    def encode(self, request: Request) -> Draft:
        return wire.draft(request, self._config)

    async def send(
        self,
        body: bytes,
        *,
        stream: bool,
        on_text: OnText,
        time_limit: float,
        arrived: Arrived,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        import httpx2
        import openai

        if time_limit <= 0:
            raise broken("timeout", "deadline", "Out of time.", arrived, "no")
        clock = Clock(self._config.timeouts, time_limit)
        assembly = Assembly(arrived)
        reader = AnswerReader(assembly, clock, on_text, perf_counter())
        try:
            clock.await_first_byte()
            async with clock:
                arrived.sent = True
                response = await self._client.ask(body, headers)
                content = cast("Body", response.stream)
                try:
                    await reader.read(content, response.headers.get("content-type", ""), stream)
                finally:
                    content.close()
        except TimeoutError as error:
            if not clock.expired():
                raise  # the consumer's own
            if not assembly.ended:
                raise broken("timeout", clock.running, "Out of time.", arrived) from error
        except (openai.APIError, httpx2.RequestError) as error:
            if not assembly.ended:
                raise _failed(error, arrived) from error
        return arrived.reply()

    async def close(self) -> None:
        await self._client.close()


def _failed(error: openai.APIError | httpx2.RequestError, arrived: Arrived) -> CallFailed:
    import httpx2
    import openai

    if isinstance(error, openai.APIStatusError):
        response = error.response
        wait = retry_after(response.headers, datetime.now(UTC))
        return refused(_error_body(response.content), error.status_code, arrived, wait)
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
