"""The SDK's client with a request that is built once: on the wire, and in its errors, it is the SDK's own."""

from __future__ import annotations

import httpx2
import openai
import pytest

from agent.models.sdk import AsyncOpenAI
from agent.models.transport import HttpClient
from tests.agent.models.raw_server import RawServer, answer, body, raw_server

OK = answer(body({"content": "x"}), "x-request-id: req_1", "x-ratelimit-remaining-requests: 9")
BODIES = (b'{"a":1}', b'{"messages":[]}')
WITHOUT = {
    f"X-Stainless-{name}": openai.Omit()
    for name in ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
}
"""What is left away on purpose, told to the SDK in its own words."""


@pytest.mark.parametrize("api_key", ["sk-test", None])
@pytest.mark.parametrize("end", ["", "/", "/deep/er?api-version=7&x=%2F"])
async def test_every_request_is_the_one_that_the_sdk_makes(
    monkeypatch: pytest.MonkeyPatch, api_key: str | None, end: str
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: desk")
    async with raw_server(OK) as server:
        client = AsyncOpenAI(server.url + end, api_key, 5.0)
        for content in (*BODIES, *BODIES):
            await _closed(await client.ask(content))
        await client.close()
        ours = _requests(server)
        server.requests.clear()
        await _by_the_sdk(server.url + end, api_key)
        assert _requests(server) == ours
    assert [lines[0] for lines, _ in ours] == [_request_line(end)] * 4
    assert all(("authorization: bearer sk-test" in lines) == bool(api_key) for lines, _ in ours)
    assert all("x-team: desk" in lines for lines, _ in ours)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, openai.APIStatusError),
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
async def test_errors_are_the_sdks_with_all_their_headers(status: int, kind: type[openai.APIStatusError]) -> None:
    said = answer({"error": {"message": "no", "code": "nope"}}, "retry-after: 7", "x-request-id: req_1", status=status)
    async with raw_server(OK, said) as server:
        client = AsyncOpenAI(server.url, "k", 5.0)
        await _closed(await client.ask(b"{}"))
        with pytest.raises(kind) as caught:
            await client.ask(b"{}")
        await client.close()
    assert (caught.value.status_code, caught.value.code, caught.value.request_id) == (status, "nope", "req_1")
    assert caught.value.response.headers["retry-after"] == "7"
    assert str(caught.value.request.url) == f"{server.url}/chat/completions"


async def test_a_broken_connection_is_the_sdks_error_too() -> None:
    async with raw_server(b"", then="close") as server:
        client = AsyncOpenAI(server.url, "k", 5.0)
        with pytest.raises(openai.APIConnectionError) as caught:
            await client.ask(b"{}")
        await client.close()
    assert isinstance(caught.value.__cause__, httpx2.ReadError)


async def _by_the_sdk(base_url: str, api_key: str | None) -> None:
    """The same requests through the SDK as it is, on the same transport."""
    base = httpx2.URL(base_url)
    path, question, query = base.raw_path.partition(b"?")
    url = base.copy_with(raw_path=path.rstrip(b"/") + b"/chat/completions" + question + query)
    client = openai.AsyncOpenAI(
        api_key=api_key or "none",
        base_url=base_url,
        max_retries=0,
        http_client=HttpClient(url, 5.0),
        default_headers=WITHOUT,  # type: ignore[arg-type]
    )
    omitted = {"X-Stainless-Retry-Count": openai.Omit(), "X-Stainless-Read-Timeout": openai.Omit()}
    key = {} if api_key else {"Authorization": openai.Omit()}
    for content in (*BODIES, *BODIES):
        response: object = await client.post(
            str(url),
            cast_to=httpx2.Response,
            content=content,
            options={"headers": {"Content-Type": "application/json", **omitted, **key}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        assert isinstance(response, httpx2.Response)
        await _closed(response)
    await client.close()


async def _closed(response: httpx2.Response) -> None:
    await response.aread()


def _requests(server: RawServer) -> list[tuple[list[str], bytes]]:
    """The request line, then the headers in the order of their names, then the body."""
    found = []
    for head, sent in server.requests:
        line, *headers = head.strip().split("\r\n")
        found.append(([line, *sorted(header.lower() for header in headers)], sent))
    return found


def _request_line(end: str) -> str:
    path, _, query = end.partition("?")
    return f"POST /v1{path.rstrip('/')}/chat/completions{'?' + query if query else ''} HTTP/1.1"
