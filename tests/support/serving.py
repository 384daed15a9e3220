"""The service in this process, on a real port: `async with serving(tmp_path) as desk: await desk.ask("Hello")`."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

import yaml
from aiohttp import ClientResponse, ClientSession
from openai import AsyncOpenAI

from agent.app import App
from agent.service.app import build
from agent.service.auth import Doorkeeper
from agent.service.http import DEFAULT_LIMITS, listening
from agent.service.keys import Keys, digest
from agent.service.places import Places
from agent.service.protocol import Limits
from agent.service.service import Service
from agent.service.shapes import ServiceFile
from agent.types import Json
from tests.support import books
from tests.support.app import Overrides, running_app
from tests.support.overheard import Overheard

KeyEntries = Mapping[str, Mapping[str, Json]]
"""The key itself to what differs from an entry of tenant `acme`."""


NOTHING: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Served:
    """`url` is the base URL of the API, `root` that of the server."""

    service: Service
    root: str
    port: int

    @property
    def url(self) -> str:
        return f"{self.root}/v1"


def write_keys(config: Path, keys: KeyEntries) -> None:
    entries: Sequence[Mapping[str, Json]] = [
        {"name": f"key{n}", "sha256": digest(key), "tenant": "acme", **more}
        for n, (key, more) in enumerate(keys.items())
    ]
    (config / "keys.yaml").write_text(yaml.safe_dump({"keys": list(entries)}))


@contextlib.asynccontextmanager
async def served(
    app: App, *, loopback: bool = True, options: ServiceFile | None = None, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[Served]:
    """Serves an app with the keys of its configuration."""
    options = options or ServiceFile()
    keys = Keys(app.settings.config)
    service = Service(app, options, Doorkeeper(keys, open_door=loopback), Places(options.turns, options.waiting))
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # so that a client that does not read is felt soon
    port = bound.getsockname()[1]
    async with listening(build(service, has_keys=bool(keys)), bound, limits):
        yield Served(service, f"http://127.0.0.1:{port}", port)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came. `error` is its error object."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]
        return found

    @property
    def text(self) -> str:
        text: str = self.body["choices"][0]["message"]["content"]
        return text


@dataclass
class Desk:
    """A served agent, what stands behind it, and somebody without a library who asks it."""

    app: App
    model: Overheard
    served: Served
    http: ClientSession
    store: Path
    clients: contextlib.AsyncExitStack = field(repr=False)

    @property
    def service(self) -> Service:
        return self.served.service

    async def client(self, key: str = "none", max_retries: int = 0) -> AsyncOpenAI:
        client = AsyncOpenAI(base_url=self.served.url, api_key=key, max_retries=max_retries)
        return await self.clients.enter_async_context(client)

    async def ask(
        self,
        text: str = "Hello",
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Json] = NOTHING,
        **body: Json,
    ) -> Answer:
        """`body` and `more` add to or replace what a plain question has."""
        async with self.asking(text, headers=headers, more={**body, **more}) as response:
            return Answer(response.status, response.headers, await response.json(content_type=None))

    @contextlib.asynccontextmanager
    async def asking(
        self,
        text: str = "Hello",
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Json] = NOTHING,
        **body: Json,
    ) -> AsyncIterator[ClientResponse]:
        document = {"model": "desk", "messages": [{"role": "user", "content": text}], **body, **more}
        url = f"{self.served.url}/chat/completions"
        async with self.http.post(url, json=document, headers=headers) as response:
            yield response

    async def get(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        async with self.http.request(method, self.served.root + path, headers=headers) as response:
            body = await response.json(content_type=None) if method != "HEAD" else None
            return Answer(response.status, response.headers, body)

    def turns(self) -> list[dict[str, books.Value]]:
        return books.table(self.store, "turn")


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path,
    *,
    keys: KeyEntries | None = None,
    options: ServiceFile | None = None,
    loopback: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    **overrides: Unpack[Overrides],
) -> AsyncIterator[Desk]:
    """At its end no hold is open and the books can be replayed."""
    if keys is not None:
        (tmp_path / "config").mkdir(exist_ok=True)
        write_keys(tmp_path / "config", keys)
    store = tmp_path / "store.db"
    async with (
        Overheard() as model,
        running_app(tmp_path, model, **overrides) as app,
        served(app, loopback=loopback, options=options, limits=limits) as there,
        ClientSession() as http,
        contextlib.AsyncExitStack() as clients,
    ):
        yield Desk(app, model, there, http, store, clients)
    assert books.table(store, "hold") == []
    assert books.replay(store) == []
