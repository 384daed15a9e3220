# ruff: noqa: E501  (what is told is one line, and is compared as one)
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agent.config import ConfigError
from agent.prompts.versions import PromptVersion, Variable, VariableType, fits, load_versions

WHOLE = """\
---
note: Says the name.
variables:
  company: {type: text, default: Example Ltd}
  floors: {type: integer}
---
You answer for {{ company }}.
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_versions(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in raised.value.problems]


def test_a_version_is_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "desk/1.md", WHOLE)

    assert load_versions(tmp_path) == {
        "desk": (
            PromptVersion(
                name="desk",
                version=1,
                digest=hashlib.sha256(path.read_bytes()).hexdigest(),
                template="You answer for {{ company }}.\n",
                variables=(Variable("company", "text", "Example Ltd"), Variable("floors", "integer", None)),
                note="Says the name.",
                template_line=7,
            ),
        )
    }


def test_the_newest_version_is_the_highest_number_not_the_last_name(tmp_path: Path) -> None:
    for number in (2, 10, 9):
        write(tmp_path, f"desk/{number}.md", "Hello.")

    assert [version.version for version in load_versions(tmp_path)["desk"]] == [2, 9, 10]


def test_a_changed_byte_is_another_digest(tmp_path: Path) -> None:
    write(tmp_path, "desk/1.md", WHOLE)
    (before,) = load_versions(tmp_path)["desk"]
    write(tmp_path, "desk/1.md", WHOLE.replace("the name", "the Name"))
    (after,) = load_versions(tmp_path)["desk"]

    assert before.template == after.template
    assert before.digest != after.digest


def test_other_files_beside_the_versions_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "desk/1.md", "Hello.")
    write(tmp_path, "desk/tests.yaml", "[]")
    write(tmp_path, "releases.yaml", "[]")
    write(tmp_path, ".git/x", "")

    assert list(load_versions(tmp_path)) == ["desk"]


@pytest.mark.parametrize("text", ["Hello.", "---\n---\nHello.", "---\n\n---\nHello."])
def test_a_front_matter_may_be_empty_or_absent(tmp_path: Path, text: str) -> None:
    write(tmp_path, "desk/1.md", text)

    (version,) = load_versions(tmp_path)["desk"]
    assert (version.template, version.variables) == ("Hello.", ())
    assert text.splitlines()[version.template_line - 1] == "Hello."


def test_a_line_of_dashes_in_the_template_or_in_a_value_ends_nothing(tmp_path: Path) -> None:
    write(tmp_path, "desk/1.md", "---\nnote: a --- b\n---\nHello.\n---\nGoodbye.\n")

    (version,) = load_versions(tmp_path)["desk"]
    assert (version.note, version.template) == ("a --- b", "Hello.\n---\nGoodbye.\n")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("desk/one.md", "Hello.", 'desk/one.md: found "one.md", expected the number of the version, such as 1.md'),
        ("desk/01.md", "Hello.", 'desk/01.md: found "01.md", expected the number of the version, such as 1.md'),
        ("desk/0.md", "Hello.", 'desk/0.md: found "0.md", expected the number of the version, such as 1.md'),
        ("desk/tests.yaml", "[]", "desk: found no version, expected a file 1.md"),
        ("Help Desk/1.md", "Hello.", 'Help Desk: found "Help Desk", expected a name (a-z, 0-9, `.`, `_`, `-`; at most 64 characters)'),
        ("desk/1.md", "---\nnote: x\nHello.", "desk/1.md:1:1: found `---` only once, expected a second `---` below the front matter"),
        ("desk/1.md", "---\n- x\n---\n", "desk/1.md:2:1: found a list, expected a mapping (lines of `key: value`)"),
        ("desk/1.md", "---\nvariable: {}\n---\n", 'desk/1.md:2:1: variable: found the key "variable", expected `variables`'),
        ("desk/1.md", "---\nvariables:\n  x: {type: list}\n---\n", 'desk/1.md:3:7: variables.x.type: found "list", expected `text`, `integer`, `number` or `boolean`'),
        ("desk/1.md", "---\nvariables:\n  x: {type: integer, default: ten}\n---\n", 'desk/1.md:3:22: variables.x.default: found "ten", expected integer'),
        ("desk/1.md", "---\nvariables:\n  X y: {}\n---\n", 'desk/1.md:3:3: variables.X y: found the key "X y", expected a variable\'s name (a-z, 0-9, `_`, a letter first; at most 64 characters)'),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, name: str, text: str, expected: str) -> None:
    write(tmp_path, name, text)

    assert told(tmp_path) == [expected]


def test_one_broken_version_does_not_hide_another(tmp_path: Path) -> None:
    write(tmp_path, "a/1.md", "---\nnotes: x\n---\n")
    write(tmp_path, "b/2.md", "---\ntool: x\n---\n")

    assert [line.split(":")[0] for line in told(tmp_path)] == ["a/1.md", "b/2.md"]


@pytest.mark.parametrize(
    ("type_", "fitting", "others"),
    [
        ("text", ["", "1"], [1, 1.0, True]),
        ("integer", [0, -1], ["1", 1.0, True]),
        ("number", [0, 1.5], ["1", False]),
        ("boolean", [True, False], [0, "true"]),
    ],
)
def test_nothing_is_converted(type_: VariableType, fitting: list[str | int], others: list[str | int]) -> None:
    assert all(fits(type_, value) for value in fitting)
    assert not any(fits(type_, value) for value in others)
