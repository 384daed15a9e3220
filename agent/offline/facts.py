"""What a conversation has told so far: ids, people, articles, errors. Tolerant of how tools shape their results."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import orjson
from pydantic import JsonValue

from agent.offline.wording import USER_ID
from agent.types import Message, ToolCall

LOOKUP = "lookup_user"
SEARCH = "search_kb"

_FAILED = re.compile(
    r"\W*(error|invalid|unknown|exception|timed? ?out|failed|refused|not run|outcome unknown)\b", re.IGNORECASE
)
_NOBODY = re.compile(r"\b(no (such )?user|unknown user|user .{0,40}not found|does not exist)\b", re.IGNORECASE)
_NOTHING = re.compile(r"\W*(no|nothing|none)\b", re.IGNORECASE)
_NAMES_OF = {
    "device": ("devices", "device", "laptop", "computer", "machine", "model"),
    "place": ("location", "office", "site", "city"),
    "text": ("text", "body", "content", "steps", "snippet", "summary", "answer"),
    "hits": ("hits", "results", "articles", "matches", "items", "documents"),
    "tickets": ("tickets", "recent_tickets", "open_tickets"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One answered tool call. `value` is what its text says as JSON, else the text itself; `error` excludes it."""

    call: ToolCall
    value: JsonValue
    error: str | None


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    devices: tuple[str, ...]
    place: str
    tickets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Article:
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`before` is what the user had said before the question. `ids` as people wrote them, the newest first. `fresh`
    are the results since the last user message."""

    question: str
    before: str
    ids: tuple[str, ...]
    fresh: tuple[Result, ...]
    earlier: tuple[Result, ...]
    people: dict[str, Person] = field(default_factory=dict)
    nobody: frozenset[str] = frozenset()

    @property
    def caller(self) -> Person | None:
        return next((self.people[user_id] for user_id in self.ids if user_id in self.people), None)


def gather(messages: tuple[Message, ...]) -> Facts:
    last_user = max((position for position, message in enumerate(messages) if message.role == "user"), default=-1)
    said = [message.content for message in reversed(messages) if message.role == "user"]
    ids = tuple(dict.fromkeys(found.upper() for text in said for found in USER_ID.findall(text)))
    earlier, fresh = _results(messages[: last_user + 1]), _results(messages[last_user + 1 :])
    lookups = [result for result in (*earlier, *fresh) if result.call.name == LOOKUP]
    people = {person.id: person for person in map(_person, lookups) if person}
    nobody = frozenset(id_of(result.call) for result in lookups if _is_nobody(result)) - people.keys()
    question, before = [*said, "", ""][:2]
    return Facts(question, before, ids, fresh, earlier, people, nobody)


def articles(results: tuple[Result, ...]) -> list[Article]:
    """The hits of the newest search that found something, the best first."""
    return next(reversed(_found(results)), [])


def best_of_each(results: tuple[Result, ...]) -> list[Article]:
    """The first hit of every search that found something, each article once."""
    return list({found[0].title: found[0] for found in _found(results)}.values())


def _found(results: tuple[Result, ...]) -> list[list[Article]]:
    searches = (result for result in results if result.call.name == SEARCH and result.error is None)
    return [found for result in searches if (found := _articles(result.value))]


def arguments(call: ToolCall) -> dict[str, JsonValue]:
    """Empty where the text isn't a JSON object."""
    try:
        value = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def id_of(call: ToolCall) -> str:
    return str(arguments(call).get("user_id", "")).upper()


def _results(messages: tuple[Message, ...]) -> tuple[Result, ...]:
    calls: dict[str | None, ToolCall] = {}
    results = []
    for message in messages:
        calls.update((call.id, call) for call in message.tool_calls)
        if message.role == "tool" and message.tool_call_id in calls:
            results.append(_result(calls[message.tool_call_id], message.content))
    return tuple(results)


def _result(call: ToolCall, content: str) -> Result:
    try:
        value: JsonValue = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Result(call, content, content if _FAILED.match(content) else None)
    if isinstance(value, dict) and value.get("error"):
        problem = value["error"]
        return Result(call, value, problem if isinstance(problem, str) else orjson.dumps(problem).decode())
    if isinstance(value, str):
        return Result(call, value, value if _FAILED.match(value) else None)
    return Result(call, value, None)


def _is_nobody(result: Result) -> bool:
    if result.error is None:
        return not result.value or (isinstance(result.value, str) and bool(_NOBODY.search(result.value)))
    return bool(_NOBODY.search(result.error))


def _person(result: Result) -> Person | None:
    record = result.value
    if isinstance(record, dict) and isinstance(record.get("user"), dict):
        record = record["user"]
    if result.error is not None or not isinstance(record, dict):
        return None
    name = _text(record.get("name"))
    if not name:
        return None
    return Person(
        id=(_text(record.get("id")) or id_of(result.call)).upper(),
        name=name,
        devices=_texts(_member(record, "device")),
        place=_text(_member(record, "place")),
        tickets=_texts(_member(record, "tickets")),
    )


def _articles(value: JsonValue) -> list[Article]:
    hits = _member(value, "hits") if isinstance(value, dict) else value
    if isinstance(hits, str):
        return [] if _NOTHING.match(hits) else [Article("from the knowledge base", hits)]
    found = [hit for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []
    return [Article(_text(hit.get("title")) or _text(hit.get("id")), _text(_member(hit, "text"))) for hit in found]


def _member(record: dict[str, JsonValue], kind: str) -> JsonValue:
    return next((record[name] for name in _NAMES_OF[kind] if record.get(name)), None)


def _texts(value: JsonValue) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in map(_text, values) if text)


def _text(value: JsonValue) -> str:
    """A value as words: the lines of a list, the telling members of a record."""
    if isinstance(value, list):
        return "\n".join(f"- {_text(part)}" for part in value)
    if isinstance(value, dict):
        telling = [value.get(name) for name in ("id", "name", "model", "title", "subject", "summary")]
        status = value.get("status")
        return " ".join(str(part) for part in (*telling, f"({status})" if status else None) if part)
    return "" if value is None else str(value)
