"""`POST /v1/chat/completions`: one request is one turn."""

from __future__ import annotations

import asyncio

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.opening import TurnKnown
from agent.service import answer, failures
from agent.service.answer import Answered
from agent.service.bodies import read_body
from agent.service.crowd import Crowd
from agent.service.endings import ended, identifying, ignoring
from agent.service.errors import ApiError
from agent.service.idempotency import join
from agent.service.service import Service
from agent.service.stream import stream
from agent.service.underway import UnderWay
from agent.service.wanted import Wanted, wanted


class Chat:
    """The endpoint, an ASGI application. The identity of whoever asks is in the scope's state; the status of an error
    for which the response's own came too late is put there."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._crowd = Crowd()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._crowd.one(scope["state"]["identity"]):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        _require_json(headers)
        body = await read_body(receive, headers, self._service.options.body_bytes)
        want = wanted(self._service, scope["state"]["identity"], headers, body)
        turn = UnderWay(lambda turn: self._run(want, turn), stream=want.stream, keep_alive=self._service.keep_alive)
        try:
            async with turn.watching(receive):
                if want.stream:
                    late = await stream(turn, want, send)
                    scope["state"]["late_status"] = late.status if late else None
                else:
                    await _whole(turn, want, scope, receive, send)
        finally:
            await self._let_go(turn, want)

    async def _run(self, want: Wanted, turn: UnderWay) -> Answered:
        self._refuse_draining()
        async with self._service.places.one():
            self._refuse_draining()  # it may have begun while this one was waiting
            try:
                return await self._ask(want, turn)
            except TurnKnown as error:
                known = error
            assert want.asked.key
            if turn.left:
                raise known  # nobody waits for it
            turn.joined = True
            turn.so_far.turn = None  # the one that it would have been is none
            app = self._service.app
            return await join(app, known, want.asked.key, app.agents[want.agent].bounds.deadline_seconds)

    async def _ask(self, want: Wanted, turn: UnderWay) -> Answered:
        result = await self._service.app.run(
            want.asked,
            agent=want.agent,
            stream=want.stream,
            emit=turn.emit,
            traceparent=want.traceparent,
            so_far=turn.so_far,
        )
        return answer.of_result(result, turn.began)

    def _refuse_draining(self) -> None:
        if self._service.draining:
            raise failures.draining()

    async def _let_go(self, turn: UnderWay, want: Wanted) -> None:
        """A client that has gone takes its turn with it, unless it can ask for the same one again."""
        if turn.task.done():
            return
        if want.asked.key and not turn.joined:
            turn.leave()
            self._service.keep(turn.task)
        else:
            await asyncio.shield(turn.cancel())


async def _whole(turn: UnderWay, want: Wanted, scope: Scope, receive: Receive, send: Send) -> None:
    async for _ in turn.pieces():
        pass
    if not turn.task.done():
        return
    answered = await ended(turn, want)
    response = Response(
        orjson.dumps(answer.completion(answered)),
        media_type="application/json",
        headers={**identifying(answered.trace_id, answered.conversation_id), **ignoring(want)},
    )
    await response(scope, receive, send)


def _require_json(headers: Headers) -> None:
    """Keeps pages of other sites from asking, too: a browser sends JSON to another origin only where that allows it."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json" or headers.get("content-encoding", "identity") != "identity":
        raise ApiError(
            415, "unsupported_media_type", "Send the body as `Content-Type: application/json`, not compressed."
        )
