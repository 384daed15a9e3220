"""Tool calls put together from what providers send: pieces, repetitions, calls without index, id, type, arguments."""

from __future__ import annotations

import json
import logging

from agent.models.bodies import dumps, string
from agent.models.protocol import ArrivedCall
from agent.types import Json

log = logging.getLogger(__name__)


class CallAssembly:
    """Adds to `calls`, in the order in which they began."""

    def __init__(self, calls: list[ArrivedCall]) -> None:
        self._calls = calls
        self._by_index: dict[int, ArrivedCall] = {}

    def whole(self, message: dict[str, Json]) -> None:
        """The calls of a whole message; the same one twice, its id included, is one."""
        for item in _items(message):
            call = _read(item)
            if call is not None and not (call.id and call in self._calls):
                self._calls.append(call)

    def deltas(self, delta: dict[str, Json]) -> None:
        """Pieces of calls. A piece belongs to the call of its index, else of its id, else to the last one."""
        for item in _items(delta):
            piece = _read(item)
            if piece is None:
                continue
            index = item.get("index")
            call = self._owner(piece, index)
            if call is None:
                call = ArrivedCall()
                self._calls.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
            _extend(call, piece)

    def _owner(self, piece: ArrivedCall, index: Json) -> ArrivedCall | None:
        if isinstance(index, int):
            call = self._by_index.get(index)
        elif piece.id:
            call = next((call for call in reversed(self._calls) if call.id == piece.id), None)
        elif piece.name or not self._calls:
            call = None
        else:
            call = self._calls[-1]
        return None if call is None or _is_another(piece, call) else call


def _items(message: dict[str, Json]) -> list[dict[str, Json]]:
    calls = message.get("tool_calls")
    items = [item for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    legacy = message.get("function_call")
    return [*items, {"index": 0, "function": legacy}] if isinstance(legacy, dict) and not items else items


def _read(item: dict[str, Json]) -> ArrivedCall | None:
    """None for what is not a function call: type `custom` has no function."""
    function = item.get("function")
    if not isinstance(function, dict):
        log.warning("a tool call that is not a function call was ignored")
        return None
    text = _text_of(function.get("arguments"))
    return ArrivedCall(string(item.get("id")), string(function.get("name")), [text] if text else [])


def _text_of(arguments: Json) -> str:
    """Some servers send the object itself."""
    if not isinstance(arguments, dict):
        return string(arguments)
    try:
        return dumps(arguments).decode()
    except ValueError as error:
        return f"({error})"  # no JSON: the model is told so, and the tool is not run


def _is_another(piece: ArrivedCall, call: ArrivedCall) -> bool:
    """Whether `piece` begins a call of its own although its index or id is that of `call` (parallel calls that all
    bear index 0): it is named, and `call` is complete and not the same."""
    if not (piece.name and call.name):
        return False
    if piece.id and call.id and piece.id != call.id:
        return not call.arguments or _complete(call)
    return _complete(call) and bool(piece.arguments) and not _same(piece, call)


def _extend(call: ArrivedCall, piece: ArrivedCall) -> None:
    if piece.name and _complete(call) and (_same(piece, call) or not piece.arguments):
        return  # sent a second time
    call.id = call.id or piece.id
    if piece.name.startswith(call.name):
        call.name = piece.name
    elif piece.name and not call.arguments:
        call.name += piece.name
    call.arguments += piece.arguments


def _same(piece: ArrivedCall, call: ArrivedCall) -> bool:
    return piece.name == call.name and "".join(piece.arguments) == "".join(call.arguments)


def _complete(call: ArrivedCall) -> bool:
    try:
        json.loads("".join(call.arguments))
    except ValueError:
        return False
    return True
