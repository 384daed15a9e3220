"""What words in a question tell: what to search for, and whether there is anything to search for."""

from __future__ import annotations

import re

_SAYS_NOTHING = """
a about after afternoon again all also am an and any anything are as ask at be been but by bye can cannot cant cheers
could couldnt day did didnt do does doesnt doing dont either else everything fine fixed for from get gets getting give
good goodbye got great had has hasnt have havent hello help helpdesk helped helps hey hi how i id if ill im in is isnt
issue issues it its ive just know let like lot many me mine more morning much my need needs no nor not nothing now of
off ok okay on one or other our out perfect please problem problems same she should so solved some still stuff tell
than thank thanks that thats the their them then there these they thing this those to too tried try trying up use used
user very want was wasnt we well went were what whats when where which who whos why will with without wont work worked
working works would yes you your
"""
_NO_CONTENT = frozenset(_SAYS_NOTHING.split())
_INTRODUCED = re.compile(r"\b(?:[Ii]'?m|[Ii] am|[Tt]his is|[Nn]ame is) [A-Z][a-z]+(?: [A-Z][a-z]+)?")
USER_ID = re.compile(r"\bU-\d+\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_PROFILE = re.compile(
    r"\b(?:what|which|where|who)(?:['’]?s| is| are)? (?:my (?:\w+ )?(device|laptop|computer|machine|location|office|"
    r"name|tickets?|profile)|(?:device|laptop|computer|office) (?:do i|am i)|am i)\b|\bmy (?:open |recent )?tickets\b",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(thanks?|cheers|bye|goodbye|perfect|fixed|solved|works now|great)\b", re.IGNORECASE)
_IN_VAIN = re.compile(r"\b(still|again|did ?n[o'’]?t|does ?n[o'’]?t|not|tried|else)\b", re.IGNORECASE)
_ADDED = re.compile(r"\W*and (?:at|for|from|in|on|via|with)\b", re.IGNORECASE)
_AND = re.compile(r"\band\b|,|&|;", re.IGNORECASE)
MOST_WORDS = 12
MOST_OF_A_TOPIC = 2
MOST_TOPICS = 4


def content_words(text: str) -> list[str]:
    """The words that say what it is about, lower case, in order, each once, at most twelve."""
    bare = USER_ID.sub(" ", _INTRODUCED.sub(" ", text))
    words = (word.lower().replace("’", "'") for word in _WORD.findall(bare))
    telling = (word for word in words if word.replace("'", "") not in _NO_CONTENT)
    return list(dict.fromkeys(telling))[:MOST_WORDS]


def queries(question: str, before: str) -> list[str]:
    """What to search for, best first: all the telling words, then the last one alone. A question that only adds
    where or on what ("and on my phone?") is about what was asked `before`."""
    if is_about_the_caller(question) or not (words := content_words(question)):
        return []
    if _ADDED.match(question):
        words = list(dict.fromkeys([*content_words(before), *words]))
    return list(dict.fromkeys([" ".join(words), words[-1]]))


def topics(question: str) -> list[str]:
    """What to search for one by one, where it names several things ("vpn and printer"); else nothing."""
    parts = [content_words(part) for part in _AND.split(question)]
    if len(parts) < 2 or not all(1 <= len(words) <= MOST_OF_A_TOPIC for words in parts):
        return []
    return [" ".join(words) for words in parts[:MOST_TOPICS]]


def is_about_the_caller(question: str) -> bool:
    """ "What's my device?", "who am I", "my open tickets": answered from the record, not from an article."""
    return bool(_PROFILE.search(question))


def is_thanks(question: str) -> bool:
    return bool(_THANKS.search(question)) and not _IN_VAIN.search(question)


def is_in_vain(question: str) -> bool:
    """ "Still the same", "that didn't help": what was advised did not do."""
    return bool(_IN_VAIN.search(question))
