"""Where the bodies of errors hold their codes and their message. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.models.bodies import dumps, parse, string
from agent.types import Json
from telemetry.content import redact

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_MESSAGE_LIMIT = 4000
_CODES = ("code", "type", "status", "error_code", "error_type", "__type")


@dataclass(frozen=True, slots=True)
class Stated:
    """What an error body says. `codes` are its short identifiers, the most telling first; `identifiers` are all of them
    as one text, `text` these and every message, all in lower case. `status` is its own integer code where that is an
    HTTP status."""

    codes: tuple[str, ...]
    message: str
    status: int | None
    identifiers: str
    text: str

    @property
    def code(self) -> str:
        return self.codes[0] if self.codes else ""


def only_error(body: Json) -> Json:
    """`body`, or what it holds where it is a list of one object, as Google wraps its errors."""
    only = body[0] if isinstance(body, list) and len(body) == 1 else None
    return only if isinstance(only, dict) else body


def error_in(body: Mapping[str, Json]) -> Json:
    """The error inside a chunk or body that came with HTTP 200, its first choice's included; else a false value. One
    that says nothing (code 0, message empty) is none."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = body.get("error") or (first.get("error") if isinstance(first, dict) else None)
    return None if isinstance(error, dict) and not any(error.values()) else error


def stated(body: Json) -> Stated:
    """Reads the body of an error: an object with `message` or `detail`, around it `error` or a list, or text."""
    objects = list(_objects(only_error(body)))
    names = [name for place in objects for key in _CODES if (name := _name(place.get(key)))]
    messages = [text for place in objects for key in ("message", "detail", "msg") if (text := _text(place.get(key)))]
    if not messages:
        messages = [_text(dict(objects[0]) if objects else body)]
    codes = tuple(name for name in names if _is_code(name))
    identifiers = " ".join(names)
    text = f"{identifiers} {' '.join(messages)}"[: 4 * _MESSAGE_LIMIT].lower()
    status = next((status for place in objects if (status := _status(place)) is not None), None)
    return Stated(codes, messages[0][:_MESSAGE_LIMIT], status, identifiers, text)


def _is_code(name: str) -> bool:
    """A short identifier, but not one that repeats a key or an address: it is shown and exported."""
    return name != "error" and _IDENTIFIER.fullmatch(name) is not None and redact(name) == name


def _objects(body: Json) -> Iterator[Mapping[str, Json]]:
    """The objects that hold what an error says, the innermost statement of the provider itself first."""
    if not isinstance(body, dict):
        return
    errors = body.get("errors")
    error: Json = error_in(body) or (errors[0] if isinstance(errors, list) and errors else errors)
    if isinstance(error, dict):
        yield error
        for key in ("innererror", "inner_error"):
            if isinstance(inner := error.get(key), dict):
                yield inner
        yield from _upstream(error)
    elif error:
        yield {**body, "message": error}  # beside its text stand its codes
    else:
        yield body


def _upstream(error: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """What the provider behind a router said: OpenRouter hands it on as text."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str):
        try:
            raw = parse(raw.encode())
        except ValueError:
            yield {"message": raw}
            return
    inner = only_error(raw)
    if isinstance(inner, dict):
        within = error_in(inner)
        yield within if isinstance(within, dict) else inner


def _name(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return string(value).lower()[:128]


def _status(error: Mapping[str, Json]) -> int | None:
    for key in ("code", "status", "status_code"):
        value = error.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def _text(value: Json) -> str:
    if value is None or isinstance(value, str):
        return string(value)
    try:
        return dumps(value).decode()
    except ValueError:
        return ""
