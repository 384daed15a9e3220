from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.tools.helpdesk_data import Article, HelpdeskDataError, load_articles, load_users
from agent.tools.registry import load_tools
from agent.tools.runner import run_tool
from agent.types import ToolCall, ToolResult

CONFIG = Path(__file__).parents[3] / "config"
HELPDESK = load_tools(["agent.tools.helpdesk"], CONFIG)


async def ask(name: str, **arguments: str) -> ToolResult:
    call = ToolCall("call_1", name, json.dumps(arguments))
    return await run_tool(HELPDESK.tools[name], call, key="k", limit=16_384, threads=HELPDESK.threads)


@pytest.mark.parametrize("user_id", ["U-123", "u-123", "  U-123\n"])
async def test_looks_up_a_user(user_id: str) -> None:
    result = await ask("lookup_user", user_id=user_id)
    assert result.error_type is None
    user = json.loads(result.content)
    assert (user["id"], user["name"], user["office"]) == ("U-123", "Alex Chen", "London")
    assert user["devices"][0] == {"model": "MacBook Pro M3", "os": "macOS 26.1", "asset_tag": "LT-20417"}
    assert user["tickets"][0]["opened"] == "2026-11-18"


async def test_knows_the_other_example_user() -> None:
    user = json.loads((await ask("lookup_user", user_id="U-456")).content)
    assert (user["name"], user["devices"][0]["model"], user["office"]) == ("Sam Patel", "ThinkPad X1", "New York")


async def test_an_unknown_user_is_said() -> None:
    result = await ask("lookup_user", user_id="U-999")
    assert result.error_type == "tool_error"
    assert result.content == (
        "Error: There is no user 'U-999'. Ids look like U-123; ask for the id on the employee badge."
    )


async def test_finds_whole_articles() -> None:
    result = await ask("search_kb", query="can't get online in the meeting room")
    articles = json.loads(result.content)
    assert len(articles) == 3
    assert articles[0].keys() == {"id", "title", "score", "text"}
    assert articles[0]["id"] == "KB-101"
    assert "## When to escalate" in articles[0]["text"]


async def test_finding_nothing_is_said() -> None:
    result = await ask("search_kb", query="qwfpgj")
    assert result.error_type is None
    assert result.content.startswith("No article fits 'qwfpgj'.")


def test_there_are_users_enough() -> None:
    users = load_users(CONFIG / "helpdesk" / "users.yaml")
    assert len(users) >= 12
    tags = [device.asset_tag for user in users.values() for device in user.devices]
    tickets = [ticket.id for user in users.values() for ticket in user.tickets]
    assert len(set(tags)) == len(tags)
    assert len(set(tickets)) == len(tickets)


@pytest.mark.parametrize("article", load_articles(CONFIG / "helpdesk" / "kb"), ids=lambda article: article.id)
def test_an_article_can_be_followed(article: Article) -> None:
    text = article.text
    assert 120 <= len(text.split()) <= 260
    steps = text.split("## Steps\n")[1].split("## ")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", steps, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 6
    assert re.search(r"[Aa]ttach", text.split("## When to escalate\n")[1])


USER = "users:\n  - id: U-1\n    name: Ann\n    email: a@example.com\n    department: IT\n    office: Rome\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("", 1, "", "should be a valid dictionary"),
        ("users: []", 1, "users", "at least 1 item"),
        (USER.replace("U-1", "123"), 2, "users.0.id", "valid string; found 123"),
        (USER.replace("    office: Rome\n", ""), 2, "users.0.office", "Field required"),
        (USER + "    desk: 4\n", 7, "users.0.desk", "not permitted; found 4"),
        (USER + "    devices:\n      - {model: X1, os: 11, asset_tag: LT-1}\n", 8, "users.0.devices.0.os", "found 11"),
        (USER + USER.removeprefix("users:\n"), 1, "users.1.id", "U-1 is there twice"),
        (USER + "    name: [\n", 8, "", "no YAML"),
        (USER + "    desk: 4: [\n", 7, "", "no YAML: mapping values are not allowed in this context"),
    ],
)
def test_a_wrong_users_file_says_where(tmp_path: Path, text: str, line: int, key: str, reason: str) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(text)
    with pytest.raises(HelpdeskDataError, match=r"users\.yaml") as caught:
        load_users(file)
    assert (caught.value.line, caught.value.key) == (line, key)
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason


ARTICLE = "---\nid: KB-1\ntitle: T\ntags: [t]\n---\n## Symptoms\n- s\n\n## Steps\n1. a\n\n## When to escalate\nx\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("# No front matter\n", 1, "must begin with front matter"),
        (ARTICLE.replace("tags: [t]", "tags: []"), 4, "at least 1 item"),
        (ARTICLE.replace("tags: [t]", "tags: [0x80070]"), 4, "valid string; found 524400"),
        (ARTICLE.replace("title: T\n", ""), 2, "Field required"),
        (ARTICLE.replace("## Steps", "## Stages"), 1, "has no section ## Steps"),
    ],
)
def test_a_wrong_article_says_where(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "one.md").write_text(text)
    with pytest.raises(HelpdeskDataError, match=r"one\.md") as caught:
        load_articles(tmp_path)
    assert caught.value.line == line
    assert reason in caught.value.reason


def test_two_articles_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text(ARTICLE)
    with pytest.raises(HelpdeskDataError, match=r"two\.md.*KB-1 is the id of one\.md too"):
        load_articles(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HelpdeskDataError, match="has no articles"):
        load_articles(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HelpdeskDataError, match="cannot be read"):
        load_users(tmp_path / "users.yaml")
