"""The tools of the running example, an IT helpdesk, over the data in `config/helpdesk/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.tools.helpdesk_data import User, load_articles, load_users
from agent.tools.search import ArticleIndex
from agent.tools.tool import Tool, ToolError, tool

_HITS = 3


@dataclass(frozen=True, slots=True)
class FoundArticle:
    id: str
    title: str
    score: float
    text: str


def tools(config: Path) -> Sequence[Tool]:
    """The helpdesk's tools for a configuration folder. Raises HelpdeskDataError."""
    folder = config / "helpdesk"
    return lookup_user(load_users(folder / "users.yaml")), search_kb(ArticleIndex(load_articles(folder / "kb")))


def lookup_user(users: Mapping[str, User]) -> Tool:
    @tool(repeat="safe")
    async def lookup_user(user_id: str) -> User:
        """Looks up an employee: name, department, office, devices and recent tickets.

        Args:
            user_id: The employee's id, such as U-123.
        """
        user = users.get(user_id.strip().upper())
        if user is None:
            raise ToolError(f"There is no user {user_id!r}. Ids look like U-123; ask for the id on the employee badge.")
        return user

    return lookup_user


def search_kb(index: ArticleIndex) -> Tool:
    @tool(repeat="safe")
    def search_kb(query: str) -> Sequence[FoundArticle] | str:
        """Searches the IT knowledge base and returns the articles that fit best, best first.

        Args:
            query: The problem in a few words, such as "laptop will not connect to wifi".
        """
        hits = index.search(query, _HITS)
        if not hits:
            return f"No article fits {query!r:.200}. Try other words for the device, the program or what goes wrong."
        return [FoundArticle(hit.article.id, hit.article.title, hit.score, hit.article.text) for hit in hits]

    return search_kb
