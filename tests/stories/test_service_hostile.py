"""What no client should send: each gets the right answer or none, memory stays flat, and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from pathlib import Path

import pytest

from agent.offline.server import OfflineModel
from agent.service.protocol import Limits
from tests.support.app import running_app
from tests.support.processes import Processes
from tests.support.raw import PATIENCE, Heard, connected, head, request, sent
from tests.support.serving import Served, served, serving
from tests.support.supervised import Client, serve, session

LIMITS = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=1)
MEGABYTE = b"x" * 1_048_576
HOST, JSON = "host: localhost", "content-type: application/json"
POST = "POST /v1/chat/completions HTTP/1.1"
ASKED = json.dumps({"model": "desk", "messages": [{"role": "user", "content": "Hello"}]}).encode()


@pytest.fixture(name="there")
async def _there(tmp_path: Path) -> AsyncIterator[Served]:
    """At its end it still serves, and no turn of what was sent is left."""
    async with (
        OfflineModel() as model,
        running_app(tmp_path, model) as app,
        served(app, limits=LIMITS) as there,
    ):
        yield there
        heard = await sent(there.port, request(ASKED))
        assert heard.statuses == [200]
        assert there.service.places.taken == 0


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        (repeat(b"G"), 400),
        ([b"POST /v1/chat/completions HTTP/1.1\r\n", *repeat(b"x: y\r\n", 90)], 408),
        ([], 408),
        ([head(POST, HOST, JSON, "content-length: 100"), *repeat(b"x", 90)], 408),
        ([head(POST, HOST, JSON, "transfer-encoding: chunked"), *repeat(b"1\r\nx\r\n", 90)], 408),
    ],
    ids=["no method", "head", "nothing", "body", "chunks"],
)
async def test_slowly(there: Served, pieces: list[bytes], status: int) -> None:
    heard = await sent(there.port, *pieces_of(pieces), pause=0.05)
    assert heard.statuses == [status]
    assert heard.code == {400: "invalid_http", 408: "request_timeout"}[status]


def pieces_of(pieces: Iterator[bytes] | list[bytes]) -> list[bytes]:
    return [piece for piece, _ in zip(pieces, range(100), strict=False)]


async def test_many_who_say_nothing_keep_nobody_out(there: Served) -> None:
    silent = [asyncio.create_task(sent(there.port, b"GET / HT")) for _ in range(200)]
    heard = await sent(there.port, request(ASKED))
    assert heard.statuses == [200]
    assert {each.statuses[0] for each in await asyncio.gather(*silent)} == {408}


@pytest.mark.parametrize(
    "data",
    [
        head("GET /healthz HTTP/1.1", HOST, *(f"h{n}: x" for n in range(200))),
        head("GET /healthz HTTP/1.1", HOST, f"x: {'y' * 40_000}"),
        head("GET /healthz HTTP/1.1", HOST, *(f"h{n}: {'y' * 1000}" for n in range(90))),
        head(f"GET /{'x' * 100_000} HTTP/1.1", HOST),
        b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 1_000_000,
        b"GET /" + b"y" * 1_000_000,
        head(POST, HOST, JSON, "transfer-encoding: chunked") + b"1\r\nx\r\n0\r\n" + b"trailer: x\r\n" * 200 + b"\r\n",
        head(POST, HOST, JSON, "transfer-encoding: chunked") + b"1\r\nx\r\n0\r\ntrailer: " + b"y" * 1_000_000,
        head(POST, HOST, JSON, "transfer-encoding: chunked") + b"1;" + b"y" * 1_000_000,
    ],
    ids=["fields", "field", "sum", "path", "endless field", "endless path", "trailers", "trailer", "extension"],
)
async def test_a_head_that_is_too_large(there: Served, data: bytes) -> None:
    heard = await sent(there.port, data)
    assert heard.statuses == [431]
    assert heard.code == "request_head_too_large"


async def test_a_flood_behind_a_request(there: Served) -> None:
    """The head of the next one, while the first one is answered."""
    endless = b"GET / HTTP/1.1\r\nx: " + b"y" * 1_000_000
    heard = await sent(there.port, head("GET /healthz HTTP/1.1", HOST) + endless[:1000], endless[1000:])
    assert heard.statuses in ([200, 431], [200], [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 10_000 + b"]" * 10_000, "invalid_json"),
        (b'{"messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "invalid_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json"),
        (b'{"model": "\xff\xfe"}', "invalid_json"),
        (b'{"model": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"model": "\\ud800"}', "invalid_json"),
        (b"\x00" * 1000, "invalid_json"),
        (b"", "invalid_json"),
        (b"9" * 100_000, "invalid_json"),
        (b'{"model": 1e999999}', "invalid_json"),
        (b'{"model": "desk", "messages": 1}', "invalid_parameter"),
    ],
)
async def test_a_body_that_is_none(there: Served, body: bytes, code: str) -> None:
    heard = await sent(there.port, request(body))
    assert (heard.statuses, heard.code) == ([400], code)


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), [400]),
        (bytes(range(256)), [400]),
        (head("GET /../../etc/passwd HTTP/1.1", HOST, "connection: close"), [404]),
        (head("GET /v1/models/../../../etc/passwd HTTP/1.1", HOST, "connection: close"), [404]),
        (head("GET /v1/models/..%2f..%2fetc%2fpasswd HTTP/1.1", HOST, "connection: close"), [404]),
        (head("GET /v1/turns/%00 HTTP/1.1", HOST, "connection: close"), [404]),
        (head("GET /v1/turns/%ff%fe HTTP/1.1", HOST, "connection: close"), [404]),
        (head("GET /v1/models/\0 HTTP/1.1", HOST, "connection: close"), [400]),
        (head("GET /\xff HTTP/1.1", HOST, "connection: close"), [400]),
        (head("GET http://localhost/healthz HTTP/1.1", HOST, "connection: close"), [200]),
        (head("CONNECT localhost:22 HTTP/1.1", HOST), [400]),
        (head("OPTIONS * HTTP/1.1", HOST, "connection: close"), [404]),
        (head("BREW / HTTP/1.1", HOST), [400]),
        (head("TRACE /healthz HTTP/1.1", HOST, "connection: close"), [405]),
        (head("GET /healthz HTTP/9.9", HOST, "connection: close"), [400]),
        (head("GET /healthz HTTP/1.0", HOST), [200]),
        (head("GET /healthz HTTP/1.0"), [403]),
        (head("GET /healthz HTTP/1.1", "host: evil.example", "connection: close"), [403]),
        (b"GET /healthz\r\n\r\n", [400]),
        (head("GET /healthz HTTP/1.1", HOST, "connection: Upgrade", "upgrade: websocket"), [200]),
        (head("GET /healthz HTTP/1.1", HOST, "connection: Upgrade, HTTP2-Settings", "upgrade: h2c"), [200]),
        (request(ASKED, "upgrade: h2c").replace(b"connection: close", b"connection: Upgrade"), [200]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
        (head(POST, HOST, JSON, "content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n", [400]),
        (head(POST, HOST, JSON, "content-length: 1", "content-length: 2") + b"xx", [400]),
        (head(POST, HOST, JSON, "content-length: -1"), [400]),
        (head(POST, HOST, JSON, f"content-length: {'9' * 5000}"), [400]),
        (head(POST, HOST, JSON, "transfer-encoding: chunked") + b"nonsense\r\n", [400]),
        (head("GET /healthz HTTP/1.1", "host: local\x01host"), [400]),
    ],
)
async def test_garbage_and_the_unusual(there: Served, data: bytes, statuses: list[int]) -> None:
    assert (await sent(there.port, data)).statuses == statuses


async def test_bodies_of_one_key_that_come_slowly(tmp_path: Path) -> None:
    """They take memory while they come, so there are no more of them than its turns may be."""
    begun = head(POST, HOST, JSON, "authorization: Bearer agk_k", "content-length: 1000", "connection: close")
    async with serving(tmp_path, keys={"agk_k": {"concurrency": 1}}, limits=LIMITS) as desk:
        heard = await asyncio.gather(*(sent(desk.served.port, begun + b" ") for _ in range(10)))
        assert sorted(each.statuses[0] for each in heard) == [408] * 2 + [429] * 8
        assert (await desk.ask(headers={"authorization": "Bearer agk_k"})).status == 200


async def test_nothing_is_taken_from_a_trailer(there: Served) -> None:
    chunked = head(POST, HOST, JSON, "transfer-encoding: chunked", "connection: close")
    body = b"%x\r\n%s\r\n0\r\nidempotency-key: k1\r\n\r\n" % (len(ASKED), ASKED)
    assert (await sent(there.port, chunked + body)).statuses == [200]


async def test_pipelining(there: Served) -> None:
    """Answered one after the other, each in its own time."""
    kept = request(ASKED).replace(b"connection: close", b"connection: keep-alive")
    heard = await sent(there.port, kept * 3 + head("GET /healthz HTTP/1.1", HOST) + request(ASKED))
    assert heard.statuses == [200] * 5


@pytest.mark.parametrize("offer", [(), ("connection: Upgrade", "upgrade: h2c")], ids=["plain", "upgrade"])
async def test_too_many_requests_ahead_of_their_answers(there: Served, offer: tuple[str, ...]) -> None:
    """The connection is closed before they take memory: each takes a hundred times its bytes."""
    assert (await sent(there.port, head("GET /healthz HTTP/1.1", HOST, *offer) * 3000)).statuses == []


async def test_garbage_behind_a_request_does_not_get_into_its_answer(there: Served) -> None:
    kept = request(ASKED).replace(b"connection: close", b"connection: keep-alive")
    heard = await sent(there.port, kept, b"\x00garbage\r\n\r\n")
    assert heard.statuses in ([200, 400], [])


async def test_half_closed(there: Served) -> None:
    """Who sends no more is taken to be gone; nothing of it stays."""
    heard = await sent(there.port, request(ASKED), half_close=True)
    assert heard.statuses in ([], [200])
    assert (await sent(there.port, head(POST, HOST, JSON, "content-length: 100"), half_close=True)).statuses == []


async def test_expect(there: Served) -> None:
    """Told to go on before the body is sent; not where it would be too large."""
    whole = request(ASKED, "expect: 100-continue")
    assert (await sent(there.port, whole)).statuses == [100, 200]
    large = head(POST, HOST, JSON, "content-length: 2000000", "expect: 100-continue")
    assert (await sent(there.port, large)).statuses == [413]


async def test_a_reader_who_does_not_read(there: Served) -> None:
    """Its connection is closed once it had its time: what it was sent is not kept for ever."""
    async with connected(there.port) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(2000):
            writer.write(head("GET /openapi.json HTTP/1.1", HOST))
        with pytest.raises(ConnectionError):  # noqa: PT012 - which write it is heard at is TCP's
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)


async def test_many_silent_clients_find_enough_files(tmp_path: Path, processes: Processes) -> None:
    """A worker is not held to the few that a shell or a service manager gives at first."""
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model)
        _, most = resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(serving.process.pid, resource.RLIMIT_NOFILE, (256, most))
        serving.hang_up()
        serving.process.wait_for_line("worker 0 was replaced", "stderr")
        assert resource.prlimit(serving.workers[-1], resource.RLIMIT_NOFILE) == (most, most)


# --- memory: in a process of its own ---


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_a_gigabyte(tmp_path: Path, processes: Processes, chunked: bool) -> None:
    with OfflineModel.in_thread() as model:
        serving = serve(processes, tmp_path, model)
        (worker,) = serving.workers
        async with session() as http:
            await Client(serving.root, "warm").ask(http)
            before = peak(worker)
            flooding = [asyncio.create_task(asyncio.to_thread(flood, serving.port, chunked)) for _ in range(4)]
            while not all(task.done() for task in flooding):
                await Client(serving.root, f"k{len(asyncio.all_tasks())}").ask(http)
            for heard in await asyncio.gather(*flooding):
                assert (heard.statuses, heard.code) == ([413], "request_too_large")
        assert peak(worker) - before < 32 * 1024


def flood(port: int, chunked: bool) -> Heard:
    """Sends as long as it can, and reads what was said then: a stream of asyncio's would throw that away."""
    piece = b"100000\r\n" + MEGABYTE + b"\r\n" if chunked else MEGABYTE
    size = "transfer-encoding: chunked" if chunked else f"content-length: {2**30}"
    heard = bytearray()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head(POST, HOST, JSON, size))
            for _ in range(1024):
                connection.sendall(piece)
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                heard += data
    return Heard(bytes(heard))


def peak(pid: int) -> int:
    """The most memory that a process has had, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
