"""A turn as a stream of server-sent events, in the provider's chunks."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Send

from agent.service.answer import KEEP_ALIVE, Answered, Chunks, event
from agent.service.endings import ended, identifying, ignoring
from agent.service.errors import ApiError
from agent.service.underway import Silence, UnderWay
from agent.service.wanted import Wanted


async def stream(turn: UnderWay, want: Wanted, send: Send) -> ApiError | None:
    """The response begins with the first text, or the first sign of life before it, so that what fails until then has a
    status of its own: it is raised as `ApiError`. From then on an error is an event, and the end of the stream:
    it is returned."""
    sending = _Sending(turn, want, send)
    async for piece in turn.pieces():
        if not await (sending.keep_alive() if isinstance(piece, Silence) else sending.text(piece)):
            return None
    return None if turn.left else await _end(turn, want, sending)


async def _end(turn: UnderWay, want: Wanted, sending: _Sending) -> ApiError | None:
    try:
        answered = await ended(turn, want)
    except ApiError as error:
        if not sending.begun:
            raise
        await sending.error(error)
        return error
    await sending.end(answered)
    return None


class _Sending:
    """The response of one stream. What sends a piece says whether the client is still there."""

    def __init__(self, turn: UnderWay, want: Wanted, send: Send) -> None:
        self._turn = turn
        self._want = want
        self._send = send
        self._chunks: Chunks | None = None
        self.begun = False

    async def keep_alive(self) -> bool:
        return await self._written(KEEP_ALIVE)

    async def text(self, text: str) -> bool:
        turn = self._turn.so_far.turn
        assert turn  # it is what says this
        opening, chunks = self._opened(turn.id)
        return await self._written(opening + chunks.text(text))

    async def error(self, error: ApiError) -> None:
        await self._written(event(error.document()), last=True)

    async def end(self, answered: Answered) -> None:
        """With its whole text where none was shown: that of a turn which was joined."""
        rest = answered.text if self._chunks is None else ""
        opening, chunks = self._opened(answered.turn_id)
        text = chunks.text(rest) if rest else b""
        data = opening + text + chunks.closing(answered, self._want.include_usage)
        await self._written(data, identifying(answered.trace_id, answered.conversation_id), last=True)

    def _opened(self, turn_id: str) -> tuple[bytes, Chunks]:
        if self._chunks:
            return b"", self._chunks
        self._chunks = Chunks(turn_id, self._want.agent, self._turn.began)
        return self._chunks.opening(), self._chunks

    async def _written(self, data: bytes, identity: Mapping[str, str] | None = None, *, last: bool = False) -> bool:
        if not self.begun:
            self.begun = True
            headers = self._headers(self._under_way() if identity is None else identity)
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        return not self._turn.left

    def _under_way(self) -> Mapping[str, str]:
        so_far = self._turn.so_far
        return identifying(so_far.trace_id, so_far.turn.conversation_id) if so_far.turn and so_far.trace_id else {}

    def _headers(self, identity: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", **identity}
        headers.update(ignoring(self._want))
        return [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
