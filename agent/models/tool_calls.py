"""Tool calls put together from what providers send: pieces, repetitions, calls without index, id, type, arguments."""

from __future__ import annotations

import logging

from agent.models.arguments import is_json, joined
from agent.models.bodies import dumps, string
from agent.models.protocol import ArrivedCall
from agent.types import Json

log = logging.getLogger(__name__)

MOST_CALLS = 1000
"""Of one reply, as many as can be allowed at most (`calls_per_reply`). Further ones are dropped."""

_LONGEST_NAME = 256

_MOST_READ = 16 * 1024 * 1024
"""Characters of arguments looked through, in all, to see whether a call is complete: a provider that repeats the name
in each of a hundred thousand pieces must not hold up the process. Beyond it a piece is taken for a continuation."""


class CallAssembly:
    """Adds to `calls`, in the order in which they began."""

    def __init__(self, calls: list[ArrivedCall]) -> None:
        self._calls = calls
        self._by_index: dict[int, ArrivedCall] = {}
        self._by_id: dict[str, ArrivedCall] = {}
        self._dropping = False
        self._warned: set[str] = set()
        self._left = _MOST_READ

    def whole(self, message: dict[str, Json]) -> None:
        """The calls of a whole message; the same one twice, its id included, is one."""
        seen: set[tuple[str, str, str]] = set()
        for item in _items(message):
            call = self._read(item)
            if call is None:
                continue
            what = (call.id, call.name, "".join(call.arguments))
            if not (call.id and what in seen) and not self._begin(call):
                return
            seen.add(what)

    def deltas(self, delta: dict[str, Json]) -> None:
        """Pieces of calls. A piece belongs to the call of its index, else of its id, else to the last one."""
        for item in _items(delta):
            piece = self._read(item)
            if piece is None:
                continue
            index = item.get("index")
            call = self._owner(piece, index)
            if call is not None:
                self._extend(call, piece)
            elif self._begin(piece):
                call = piece
            self._know(call, index)

    def _know(self, call: ArrivedCall | None, index: Json) -> None:
        """Whose the pieces of this index are from now on; None: a dropped call's."""
        if call is not None:
            if isinstance(index, int):
                self._by_index[index] = call
            if call.id:
                self._by_id.setdefault(call.id, call)
        elif isinstance(index, int):
            self._by_index.pop(index, None)

    def _read(self, item: dict[str, Json]) -> ArrivedCall | None:
        """None for what is not a function call: type `custom` has no function. Some servers leave out that level."""
        function = item.get("function")
        if function is None and item.get("type") in ("function", None) and ("name" in item or "arguments" in item):
            function = item
        if not isinstance(function, dict):
            self._warn("a tool call that is not a function call was ignored")
            return None
        text = _text_of(function.get("arguments"))
        name = string(function.get("name"))[:_LONGEST_NAME]
        return ArrivedCall(string(item.get("id")), name, [text] if text else [])

    def _warn(self, what: str) -> None:
        """Once in an answer."""
        if what not in self._warned:
            self._warned.add(what)
            log.warning(what)

    def _begin(self, call: ArrivedCall) -> bool:
        """Whether there was room for it."""
        if len(self._calls) < MOST_CALLS:
            self._calls.append(call)
            self._by_id.pop(call.id, None)
            return True
        self._dropping = True
        self._warn(f"a reply asked for more than {MOST_CALLS:,} tool calls; further ones were dropped")
        return False

    def _owner(self, piece: ArrivedCall, index: Json) -> ArrivedCall | None:
        if isinstance(index, int):
            call = self._by_index.get(index)
        elif piece.id:
            call = self._by_id.get(piece.id)
        elif piece.name or not self._calls or self._dropping:
            call = None
        else:
            call = self._calls[-1]
        return None if call is None or self._is_another(piece, call) else call

    def _is_another(self, piece: ArrivedCall, call: ArrivedCall) -> bool:
        """Whether `piece` begins a call of its own although its index or id is that of `call` (parallel calls that all
        bear index 0): it is named, and `call` is complete and not the same."""
        if not (piece.name and call.name):
            return False
        if piece.id and call.id and piece.id != call.id:
            return not call.arguments or self._complete(call)
        if not piece.arguments or not self._complete(call) or _same(piece, call):
            return False
        return joined(call.arguments).strip() != "{}"  # which some servers send first, and then the real ones

    def _extend(self, call: ArrivedCall, piece: ArrivedCall) -> None:
        if piece.name and call.name and self._complete(call) and (not piece.arguments or _same(piece, call)):
            return  # sent a second time
        call.id = call.id or piece.id
        if piece.name.startswith(call.name):
            call.name = piece.name
        elif piece.name and not call.arguments:
            call.name = (call.name + piece.name)[:_LONGEST_NAME]
        call.arguments += piece.arguments

    def _complete(self, call: ArrivedCall) -> bool:
        if self._left <= 0 or not _may_end(call.arguments):
            return False
        text = joined(call.arguments)
        self._left -= len(text) + len(call.arguments)
        return is_json(text)


def _items(message: dict[str, Json]) -> list[dict[str, Json]]:
    calls = message.get("tool_calls")
    calls = [calls] if isinstance(calls, dict) else calls
    items = [item for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    legacy = message.get("function_call")
    return [*items, {"index": 0, "function": legacy}] if isinstance(legacy, dict) and not items else items


def _text_of(arguments: Json) -> str:
    """Some servers send the object itself."""
    if not isinstance(arguments, dict):
        return string(arguments)
    try:
        return dumps(arguments).decode()
    except ValueError as error:
        return f"({error})"  # no JSON: the model is told so, and the tool is not run


def _may_end(arguments: list[str]) -> bool:
    """Whether these may be a whole object, or one that was encoded twice."""
    return "".join(piece[-8:] for piece in arguments[-4:]).rstrip().endswith(("}", '"'))


def _same(piece: ArrivedCall, call: ArrivedCall) -> bool:
    return piece.name == call.name and joined(piece.arguments) == joined(call.arguments)
