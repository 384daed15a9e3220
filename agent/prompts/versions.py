"""Prompt versions as files: `prompts/NAME/N.md`, a front matter in YAML and a template. The newest is the highest N."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agent.config.documents import Document
from agent.config.problems import ConfigError, Problem, describe
from agent.config.shapes import Scalar, Strict
from agent.config.text_files import decode, read_bytes
from agent.config.validation import validate
from agent.config.yaml_text import parse

VariableType = Literal["text", "integer", "number", "boolean"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(?P<yaml>.*?)(?<![^\n])---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """What a template may name. One without a default must be given."""

    name: str
    type: VariableType
    default: Scalar | None


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """Immutable text by digest: SHA-256, in hex, of the file's bytes.

    `template_line` is the line of the file on which the template begins.
    """

    name: str
    version: int
    digest: str
    template: str
    variables: tuple[Variable, ...]
    note: str
    template_line: int = 1


class VariableShape(Strict):
    type: VariableType = "text"
    default: Scalar | None = None


class FrontMatter(Strict):
    """What may stand between the two `---` lines at the top of a version."""

    note: str = Field("", max_length=2000)
    variables: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], VariableShape] = Field(
        default_factory=dict
    )


def load_versions(folder: Path) -> dict[str, tuple[PromptVersion, ...]]:
    """All versions under `folder` by name, each from the oldest to the newest. Raises ConfigError."""
    versions, problems = read_versions(folder)
    if problems:
        raise ConfigError(tuple(problems))
    return versions


def read_versions(folder: Path) -> tuple[dict[str, tuple[PromptVersion, ...]], list[Problem]]:
    """The versions that can be read, and every problem with the others."""
    prompts: dict[str, tuple[PromptVersion, ...]] = {}
    problems: list[Problem] = []
    for prompt in _entries(folder, problems):
        if not prompt.is_dir() or prompt.name.startswith("."):
            continue
        if not _NAME.fullmatch(prompt.name):
            expected = "a name (a-z, 0-9, `.`, `_`, `-`; at most 64 characters)"
            problems.append(Problem(str(prompt), None, None, "", describe(prompt.name), expected))
            continue
        versions = [version for path in _entries(prompt, problems) if (version := _read(prompt.name, path, problems))]
        if versions:
            prompts[prompt.name] = tuple(sorted(versions, key=lambda version: version.version))
        elif not any(path.suffix == ".md" for path in prompt.iterdir()):
            problems.append(Problem(str(prompt), None, None, "", "no version", "a file 1.md"))
    return prompts, problems


def _entries(folder: Path, problems: list[Problem]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        problems.append(Problem(str(folder), None, None, "", error.strerror or type(error).__name__, "a folder"))
        return []


def _read(name: str, path: Path, problems: list[Problem]) -> PromptVersion | None:
    if path.suffix != ".md":
        return None
    try:
        return read_version(name, path)
    except ConfigError as error:
        problems.extend(error.problems)
        return None


def read_version(name: str, path: Path) -> PromptVersion:
    """The version in one file. Raises ConfigError; the template is checked in `agent.prompts.templates`."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", path.stem, re.ASCII):
        expected = "the number of the version, such as 1.md"
        raise ConfigError((Problem(str(path), None, None, "", describe(path.name), expected),))
    content = read_bytes(path)
    text = decode(path, content)
    front_matter, template, template_line = _split(path, text)
    return PromptVersion(
        name,
        int(path.stem),
        hashlib.sha256(content).hexdigest(),
        template,
        tuple(Variable(variable, shape.type, shape.default) for variable, shape in front_matter.variables.items()),
        front_matter.note,
        template_line,
    )


def _split(path: Path, text: str) -> tuple[FrontMatter, str, int]:
    """Front matter, template and the template's first line."""
    if not re.match(r"---[ \t]*\r?$", text, re.MULTILINE):
        return FrontMatter(), text, 1
    match = _FRONT_MATTER.match(text)
    if match is None:
        raise ConfigError((Problem(str(path), 1, 1, "", "`---` only once", "a second `---` below the front matter"),))
    template, template_line = text[match.end() :], text.count("\n", 0, match.end()) + 1
    if not match["yaml"].strip():
        return FrontMatter(), template, template_line
    document = parse(str(path), match["yaml"], first_line=2)
    front_matter = validate(FrontMatter, document)
    _check_defaults(front_matter, document)
    return front_matter, template, template_line


def _check_defaults(front_matter: FrontMatter, document: Document) -> None:
    problems = tuple(
        document.problem(("variables", name, "default"), shape.type)
        for name, shape in front_matter.variables.items()
        if shape.default is not None and not fits(shape.type, shape.default)
    )
    if problems:
        raise ConfigError(problems)


def fits(type_: VariableType, value: Scalar) -> bool:
    """Whether `value` is of the type; nothing is converted, and a truth value is not a number."""
    match type_:
        case "text":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
