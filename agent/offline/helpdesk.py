"""What the stand-in says: the tools it wants next, or an answer. A pure function of the request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import orjson
from pydantic import JsonValue

from agent.offline.answers import answer
from agent.offline.facts import LOOKUP, SEARCH, Facts, arguments, articles, gather, id_of
from agent.offline.request import Asked, OfferedTool
from agent.offline.schema_arguments import Arguments
from agent.offline.wording import queries, topics
from agent.types import Message, ToolCall

TRIES = 2
MOST_LOOKUPS = 8

Want = tuple[str, Mapping[str, JsonValue]]


def reply(asked: Asked) -> Message:
    """One assistant message: every tool it needs at once, else an answer from what the conversation has told."""
    facts = gather(asked.messages)
    wants = _wants(asked, facts)
    if not wants and not asked.forced:
        return Message("assistant", answer(facts, tuple(tool.name for tool in asked.tools)))
    return Message("assistant", "", numbered(asked, wants or [_filled(asked.forced[0], facts)]))


def numbered(asked: Asked, wants: list[Want]) -> tuple[ToolCall, ...]:
    """Calls with ids that are unique in their conversation and the same whenever it is replayed."""
    position = len(asked.messages)
    return tuple(
        ToolCall(f"call_{position}_{index}", name, orjson.dumps(value).decode())
        for index, (name, value) in enumerate(wants)
    )


def _wants(asked: Asked, facts: Facts) -> list[Want]:
    allowed = {tool.name for tool in asked.forced or asked.tools}
    named = [tool for tool in asked.tools if tool.name not in (LOOKUP, SEARCH) and _names(facts.question, tool.name)]
    wants = [*_lookups(facts), *([] if named else _search(facts)), *_others(named, facts)]
    return [want for want in wants if want[0] in allowed]


def _lookups(facts: Facts) -> Iterator[Want]:
    """Everyone in the conversation not yet known; whoever is unknown for good isn't asked for twice."""
    open_ids = [user_id for user_id in facts.ids if user_id not in facts.people and user_id not in facts.nobody]
    tried = [id_of(result.call) for result in facts.fresh if result.call.name == LOOKUP]
    # A call whose arguments were garbled names nobody, and counts as a try for everybody.
    again = [user_id for user_id in open_ids if tried.count(user_id) + tried.count("") < TRIES]
    yield from ((LOOKUP, {"user_id": user_id}) for user_id in again[:MOST_LOOKUPS])


def _search(facts: Facts) -> list[Want]:
    """The question's words, or each of its topics; after a failure, or nothing found, other words once."""
    searches = [result for result in facts.fresh if result.call.name == SEARCH]
    if articles(facts.fresh) or len(searches) >= TRIES:
        return []
    several = [] if searches else topics(facts.question)
    tried = {str(arguments(result.call).get("query")) for result in searches}
    untried = [query for query in queries(facts.question, facts.before) if query not in tried]
    return [(SEARCH, {"query": query}) for query in several or untried[:1]]


def _others(named: list[OfferedTool], facts: Facts) -> list[Want]:
    """Any other tool that the user names ("get_weather", "get weather"), until it answered or failed twice."""
    return [_filled(tool, facts) for tool in named if not _done(tool.name, facts)]


def _done(name: str, facts: Facts) -> bool:
    results = [result for result in facts.fresh if result.call.name == name]
    return len(results) >= TRIES or any(result.error is None for result in results)


def _names(text: str, tool: str) -> bool:
    words = [re.escape(word) for word in re.split(r"[_-]+", tool) if word]
    return bool(words) and bool(re.search(rf"\b{'[ _-]'.join(words)}\b", text, re.IGNORECASE))


def _filled(tool: OfferedTool, facts: Facts) -> Want:
    said = re.sub(re.escape(tool.name), " ", facts.question, flags=re.IGNORECASE)
    return tool.name, Arguments(tool.parameters, said).build()
