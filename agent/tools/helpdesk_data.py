"""What the helpdesk knows: `helpdesk/users.yaml` and the articles in `helpdesk/kb/*.md`, checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.tools.tool import ToolConfigError

_Shape = TypeVar("_Shape", bound=BaseModel)
_SECTIONS = ("Symptoms", "Steps", "When to escalate")


class HelpdeskDataError(ToolConfigError):
    """A file of the helpdesk's is wrong. `key` is the path within it, and empty where the file as a whole is meant."""

    def __init__(self, file: Path, line: int, key: str, reason: str) -> None:
        super().__init__(f"{file}, line {line}{f', {key}' if key else ''}: {reason}")
        self.file = file
        self.line = line
        self.key = key
        self.reason = reason


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_min_length=1)


class Device(_Strict):
    model: str
    os: str
    asset_tag: str


class Ticket(_Strict):
    id: str
    opened: date
    status: Literal["open", "waiting", "closed"]
    subject: str


class User(_Strict):
    id: str = Field(pattern=r"^U-\d+$")
    name: str
    email: str
    department: str
    office: str
    devices: tuple[Device, ...] = ()
    tickets: tuple[Ticket, ...] = ()


class _UsersFile(_Strict):
    users: tuple[User, ...] = Field(min_length=1)


class _FrontMatter(_Strict):
    id: str
    title: str
    tags: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Article:
    """`text` is the whole article in Markdown without its title, `symptoms` one of its sections."""

    id: str
    title: str
    tags: tuple[str, ...]
    symptoms: str
    text: str


def load_users(file: Path) -> Mapping[str, User]:
    """The users by id. Raises HelpdeskDataError."""
    users = _checked(file, _read(file), 0, _UsersFile).users
    for number, user in enumerate(users):
        if any(other.id == user.id for other in users[:number]):
            raise HelpdeskDataError(file, 1, f"users.{number}.id", f"{user.id} is there twice")
    return {user.id: user for user in users}


def load_articles(folder: Path) -> Sequence[Article]:
    """The articles of a folder's Markdown files, by file name. Raises HelpdeskDataError."""
    files: dict[str, Path] = {}
    articles = []
    for file in sorted(folder.glob("*.md")):
        article = _article(file)
        if article.id in files:
            raise HelpdeskDataError(file, 2, "id", f"{article.id} is the id of {files[article.id].name} too")
        files[article.id] = file
        articles.append(article)
    if not articles:
        raise HelpdeskDataError(folder, 0, "", "has no articles (*.md)")
    return articles


def _article(file: Path) -> Article:
    opening, front, text = (*_read(file).split("---\n", 2), "", "")[:3]
    if opening or not text:
        raise HelpdeskDataError(file, 1, "", "must begin with front matter between two lines of ---")
    about = _checked(file, front, 1, _FrontMatter)
    sections = {name: body for name, _, body in (part.partition("\n") for part in f"\n{text}".split("\n## ")[1:])}
    if missing := [name for name in _SECTIONS if not sections.get(name, "").strip()]:
        raise HelpdeskDataError(file, 1, "", f"has no section ## {missing[0]}")
    return Article(about.id, about.title, about.tags, sections["Symptoms"].strip(), text.strip())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HelpdeskDataError(file, 0, "", f"cannot be read: {error}") from error


def _checked(file: Path, text: str, offset: int, shape: type[_Shape]) -> _Shape:
    """YAML that begins after `offset` lines of the file, as the model."""
    try:
        return shape.model_validate(yaml.load(text, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark, problem = None, str(error).partition("\n")[0]
        if isinstance(error, yaml.MarkedYAMLError):
            mark, problem = error.problem_mark, error.problem or problem
        raise HelpdeskDataError(file, offset + (mark.line + 1 if mark else 1), "", f"no YAML: {problem}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        line = offset + _line(yaml.compose(text, yaml.CSafeLoader), first["loc"])
        key = ".".join(map(str, first["loc"]))
        found = "" if first["type"] == "missing" else f"; found {first['input']!r:.80}"
        raise HelpdeskDataError(file, line, key, f"{first['msg']}{found}") from error


def _line(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """The line of the deepest part of the path that is there."""
    for step in path:
        if isinstance(node, yaml.MappingNode):
            inner = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            inner = node.value[step]
        else:
            inner = None
        if inner is None:
            break
        node = inner
    return node.start_mark.line + 1 if node else 1
