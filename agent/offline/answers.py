"""The sentences of an answer, composed from what the tools told. No model is behind them."""

from __future__ import annotations

import re

import orjson

from agent.offline.facts import LOOKUP, SEARCH, Article, Facts, Person, Result, articles, best_of_each, id_of
from agent.offline.wording import USER_ID, content_words, is_about_the_caller, is_in_vain, is_thanks

_STEP = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+(.+)$", re.MULTILINE)
_STEPS_SECTION = re.compile(r"^#+ *(?:steps|solution|what to do)\b.*?$(.*?)(?=^#|\Z)", re.M | re.S | re.I)
_MARKUP = re.compile(r"^#+.*$|^---$|[*`]{1,3}|<[^<>]+>", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
MOST_STEPS = 8
QUOTED = 600


def answer(facts: Facts, tools: tuple[str, ...]) -> str:
    """Several sentences: whom it knows, what it found, what failed. `tools` are the names that were offered."""
    parts = [_greeting(facts), *_trouble(facts), *_substance(facts), *_others(facts.fresh)]
    said = "\n\n".join(part for part in parts if part)
    if not tools and facts.fresh:
        return f"I can't look anything else up now; this is what I found so far.\n\n{said}"
    return said


def _greeting(facts: Facts) -> str:
    person = facts.caller
    if person is None:
        return "Hello!" if facts.fresh else ""
    first_name = person.name.split()[0]
    if is_thanks(facts.question):
        return f"You're welcome, {first_name}."
    if is_about_the_caller(facts.question) or any(id_of(result.call) == person.id for result in facts.fresh):
        return f"Hi {first_name}, {_record(person)}"
    return f"{first_name}, about your {person.devices[0]}:" if person.devices and facts.fresh else ""


def _ids(text: str) -> set[str]:
    return {user_id.upper() for user_id in USER_ID.findall(text)}


def _record(person: Person) -> str:
    where = f" in {person.place}" if person.place else ""
    devices = " and ".join(f"the {device}" for device in person.devices) or "no device on record"
    return f"I have your account {person.id} here: you work{where} and have {devices}."


def _trouble(facts: Facts) -> list[str]:
    """What went wrong with looking people up, and whom nobody knows."""
    asked_for = {id_of(result.call) for result in facts.fresh if result.call.name == LOOKUP} | _ids(facts.question)
    unknown = sorted(asked_for & facts.nobody)
    told = [f"I don't know the user id {user_id}. Could you check it and tell me again?" for user_id in unknown[:3]]
    lookups = [result for result in facts.fresh if result.call.name == LOOKUP]
    if lookups and not facts.people and not unknown:
        told.append(f"I couldn't look up your account: {_short(lookups[-1])}")
    return told


def _substance(facts: Facts) -> list[str]:
    several = best_of_each(facts.fresh)
    if several:
        advice = [_advice([article]) for article in several] if len(several) > 1 else [_advice(articles(facts.fresh))]
        return [*advice, *_ticket(facts), _invitation(facts)]
    searches = [result for result in facts.fresh if result.call.name == SEARCH]
    if searches:
        return [_nothing_found(facts, searches[-1])]
    if is_about_the_caller(facts.question):
        return [_profile(facts)]
    if is_thanks(facts.question):
        return ["Glad I could help. Come back whenever something else comes up." if facts.caller else "You're welcome!"]
    if is_in_vain(facts.question) and facts.earlier:
        return [_next_advice(articles(facts.earlier))]
    return [] if _others(facts.fresh) else [_offer(facts)]


def _advice(found: list[Article], opening: str = "This looks like a case for our article") -> str:
    best, others = found[0], [article.title for article in found[1:4] if article.title]
    lines = [f"{opening} “{best.title}”. Please try this, in order:", *_steps(best.text)]
    if others:
        lines.append(f"If that is not quite it, these are close: {', '.join(dict.fromkeys(others))}.")
    return "\n".join(lines)


def _steps(text: str) -> list[str]:
    """The article's own list, that of its section "Steps" if it has one; or its first sentences."""
    section = _STEPS_SECTION.search(text)
    plain = _MARKUP.sub("", section[1] if section else text)
    steps = [step.strip() for step in _STEP.findall(plain)]
    if not steps:
        steps = [sentence.strip() for sentence in _SENTENCE.findall(plain) if sentence.strip()]
    return [f"{number}. {step}" for number, step in enumerate(steps[:MOST_STEPS], 1)]


def _ticket(facts: Facts) -> list[str]:
    """A recent ticket of the caller's that shares a word with the question."""
    person, words = facts.caller, content_words(facts.question)
    tickets = person.tickets if person else ()
    related = [ticket for ticket in tickets if any(word in ticket.lower() for word in words)]
    return [f"I also see a related ticket of yours: {related[0]}."] if related else []


def _invitation(facts: Facts) -> str:
    if facts.caller or facts.nobody:
        return "If it still does not work, reply with what you see on the screen, and we will take it further."
    return "If you tell me your user id (such as U-100), I can check what device you have and what was reported before."


def _nothing_found(facts: Facts, last: Result) -> str:
    about = " ".join(content_words(facts.question)) or "that"
    if last.error is not None:
        return f"I tried to search the knowledge base for “{about}”, but it failed: {_short(last)}"
    return f"I found nothing in the knowledge base about “{about}”. Could you describe it in other words?"


def _profile(facts: Facts) -> str:
    person = facts.caller
    if person is None:
        return "Which user id is yours? It looks like U-100; then I can tell you what we have on record."
    if not person.tickets:
        return "There are no recent tickets of yours."
    return "Your recent tickets:\n" + "\n".join(f"- {ticket}" for ticket in person.tickets[:MOST_STEPS])


def _next_advice(found: list[Article]) -> str:
    if len(found) > 1:
        return _advice(found[1:], "I'm sorry that it did not help. The next closest article is")
    return "I'm sorry that it did not help. I have nothing better to suggest; a colleague should look at it with you."


def _offer(facts: Facts) -> str:
    if facts.ids:
        return "What can I do for you? Tell me what does not work."
    return "I'm the IT helpdesk. Tell me what does not work, and your user id (such as U-100)."


def _others(fresh: tuple[Result, ...]) -> list[str]:
    """What tools answered that are not the helpdesk's own: the last answer of each."""
    last = {result.call.name: result for result in fresh if result.call.name not in (LOOKUP, SEARCH)}
    return [f"{name} {'failed' if result.error else 'says'}: {_short(result)}" for name, result in last.items()]


def _short(result: Result) -> str:
    if result.error is not None:
        return result.error[:QUOTED]
    return (result.value if isinstance(result.value, str) else orjson.dumps(result.value).decode())[:QUOTED]
