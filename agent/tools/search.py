"""Ranked full-text search over articles: SQLite FTS5 in memory, BM25, Porter's stemming.

An article is found by its title, tags and symptoms only: its steps have words of every other topic in them."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from agent.tools.helpdesk_data import Article

_WEIGHTS = (6.0, 5.0, 5.0)  # title, tags, symptoms
_TERMS = 32
_SAYS_NOTHING = """
    a about after again all also always am an and any anyone are as at be because been broke broken but by can
    cannot could did do does doesn doing don for from get gets getting give go goes going got had has have he hello
    help her hi him his how i if in into is isn issue it its just keeps like list ll m make me my need no not now of on
    or our pc please problem re s say says she should so some somebody someone t tell than thank thanks that the
    their them then there these they thing this to too trying u up us user users ve very want was wasn we were what when
    where which while who why will with won work working works would you your
"""
_STOP_WORDS = frozenset(_SAYS_NOTHING.split())


@dataclass(frozen=True, slots=True)
class Hit:
    """An article found. `score` is BM25 turned positive: higher is better, comparable within one search only."""

    article: Article
    score: float


class ArticleIndex:
    """Finds articles. One connection behind a lock: tools search from several threads."""

    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = tuple(articles)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE article USING fts5(title, tags, symptoms, tokenize='porter unicode61')"
        )
        self._database.executemany(
            "INSERT INTO article(rowid, title, tags, symptoms) VALUES (?, ?, ?, ?)",
            ((n, a.title, " ".join(a.tags), a.symptoms) for n, a in enumerate(self._articles)),
        )

    def search(self, query: str, limit: int = 3) -> Sequence[Hit]:
        """The best articles for a question in anybody's words, best first; none where no word of it is known."""
        words = terms(query)
        if not words:
            return ()
        match = " OR ".join(f'"{word}"' for word in words)  # quoted: an operator's name is a word like any other
        with self._lock:
            rows = self._database.execute(
                "SELECT rowid, bm25(article, ?, ?, ?) AS rank FROM article WHERE article MATCH ?"
                " ORDER BY rank, rowid LIMIT ?",
                (*_WEIGHTS, match, limit),
            ).fetchall()
        return tuple(Hit(self._articles[number], round(-rank, 2)) for number, rank in rows)


def terms(query: str) -> Sequence[str]:
    """The words that a search is made of: letters and digits only, each once, those that say nothing left out."""
    words = dict.fromkeys(re.findall(r"[^\W_]+", query.lower()))
    return [word for word in words if word not in _STOP_WORDS][:_TERMS]
