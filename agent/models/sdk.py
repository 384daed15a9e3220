"""The OpenAI SDK's client for one question asked again and again: requests that differ in their body only.

Everything but the body is the SDK's doing (authentication, headers, address) and so is what becomes of an answer (typed
errors); it is done once, where the SDK does it for every request. Only imported late: openai is heavy.
"""

from __future__ import annotations

from typing import cast

import httpx2
import openai
from openai._models import FinalRequestOptions

from agent.models.transport import HttpClient, Post

_NOT_SENT = ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
"""`X-Stainless-…` headers: what machine we run on is nobody's business, and each header costs time three times."""

_STREAM = openai.AsyncStream[object]


class AsyncOpenAI(openai.AsyncOpenAI):  # the User-Agent is made of this name
    """Asks the chat completions below `base_url`, whose query is kept. Without `api_key` no authorization is sent."""

    def __init__(self, base_url: str, api_key: str | None, connect_timeout: float) -> None:
        omit = openai.Omit()
        base = httpx2.URL(base_url)
        path, question, query = base.raw_path.partition(b"?")
        url = base.copy_with(raw_path=path.rstrip(b"/") + b"/chat/completions" + question + query)
        super().__init__(
            api_key=api_key or "none",
            base_url=base_url,
            max_retries=0,
            http_client=HttpClient(url, connect_timeout),
            default_headers=cast("dict[str, str]", {f"X-Stainless-{name}": omit for name in _NOT_SENT}),
        )
        headers: dict[str, str | openai.Omit] = {
            "Content-Type": "application/json",
            "X-Stainless-Retry-Count": omit,
            "X-Stainless-Read-Timeout": omit,
        }
        if not api_key:
            headers["Authorization"] = omit
        # No header carries an idempotency key to this endpoint; without one here the SDK makes one up for each request.
        self._options = FinalRequestOptions(method="post", url=str(url), headers=headers, idempotency_key="")
        self._first: Post | None = None

    async def ask(self, body: bytes) -> httpx2.Response:
        """The answer's head, its body unread. Raises openai.APIError where it is an error, or there is none."""
        options = self._options.model_copy(update={"content": body})
        answer: object = await self.request(httpx2.Response, options, stream=True, stream_cls=_STREAM)
        return cast("httpx2.Response", answer)  # with this `cast_to` the SDK makes no stream of it

    def _build_request(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
        if self._first is None:
            self._first = cast("Post", super()._build_request(options, retries_taken=retries_taken))
        return self._first.with_body(cast("bytes", options.content))

    # Before every request the SDK looks for a provider that signs it and for tokens to exchange: there are none here.

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        return options

    async def _send_request(self, request: httpx2.Request, *, stream: bool, **_: object) -> httpx2.Response:
        return await self._client.send(request, stream=stream)
