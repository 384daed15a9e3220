from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from agent.tools.registry import ToolModuleError, load_tools

TOOL = 'from agent.tools.tool import tool\n@tool\ndef {0}() -> str:\n    """Does {0}."""\n    return "{0}"\n'


class Modules:
    """Modules in the current folder, under names that no other test has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []

    def write(self, text: str) -> str:
        name = f"my_tools_{uuid4().hex}"
        (self.folder / f"{name}.py").write_text(text)
        self.names.append(name)
        return name


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = Modules(tmp_path)
    yield made
    for name in made.names:
        sys.modules.pop(name, None)


CONFIG = Path("config")


def test_finds_an_engineers_module_in_the_current_folder(modules: Modules) -> None:
    first, second = modules.write(TOOL.format("b") + TOOL.format("a")), modules.write(TOOL.format("c"))
    registry = load_tools([first, second], CONFIG)
    assert list(registry.tools) == ["b", "a", "c"]
    assert [entry["function"]["name"] for entry in json.loads(registry.encoded)] == ["b", "a", "c"]


def test_a_factory_gets_the_configuration_folder(modules: Modules) -> None:
    text = TOOL.format("left_out") + (
        "from pathlib import Path\n"
        "def tools(config: Path):\n"
        "    @tool\n"
        "    def where() -> str:\n"
        '        """Says where."""\n'
        "        return str(config)\n"
        "    return [where]\n"
    )
    registry = load_tools([modules.write(text)], CONFIG)
    assert list(registry.tools) == ["where"]
    assert registry.tools["where"].run() == "config"


def test_no_modules_are_no_tools() -> None:
    registry = load_tools([], CONFIG)
    assert (dict(registry.tools), registry.encoded) == ({}, b"")


def test_an_imported_tool_is_the_same_tool(modules: Modules) -> None:
    first = modules.write(TOOL.format("a"))
    second = modules.write(f"from {first} import a\n" + TOOL.format("b"))
    assert list(load_tools([first, second, first], CONFIG).tools) == ["a", "b"]


def test_two_tools_of_one_name_are_refused(modules: Modules) -> None:
    first, second = modules.write(TOOL.format("a")), modules.write(TOOL.format("a"))
    with pytest.raises(ToolModuleError) as caught:
        load_tools([first, second], CONFIG)
    assert str(caught.value) == f"tool module {second}: has a tool a, as has {first}; rename one"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import nowhere_to_be_found",
            r"cannot be imported: ModuleNotFoundError: .*nowhere_to_be_found.*\.py, line 1\)",
        ),
        ("x = (", r"cannot be imported: SyntaxError: .* \(my_tools_\w*\.py, line 1\)$"),
        ("\n1 / 0", r"cannot be imported: ZeroDivisionError: division by zero \(my_tools_.*\.py, line 2\)"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        ("x = 1", "has no tools"),
        ("def tools(config): return []", "has no tools"),
        (
            "def tools(config): return [len]",
            r"tools\(\) gave a builtin_function_or_method, which is no Tool; use @tool",
        ),
        ("def tools(config): return 1", r"tools\(\) failed: TypeError: 'int' object is not iterable"),
        ("def tools(): return []", r"tools\(\) failed: TypeError: .*positional argument"),
        (
            TOOL.format("a").replace('"""Does a."""', ""),
            r"imported: tool a: has no docstring.* \(my_tools_\w*\.py, line \d+\)$",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_named_with_the_reason(modules: Modules, text: str, reason: str) -> None:
    name = modules.write(text)
    with pytest.raises(ToolModuleError, match=reason) as caught:
        load_tools([name], CONFIG)
    assert caught.value.module == name


@pytest.mark.parametrize("name", ["not_there_at_all", "agent.tools.not_there", "not_there.at_all"])
def test_a_module_that_is_not_there_is_said(modules: Modules, name: str) -> None:
    with pytest.raises(ToolModuleError, match=r"there is no module \S+, installed or in "):
        load_tools([name], CONFIG)


@pytest.mark.parametrize("name", ["", ".", ".relative", "with space", "a..b"])
def test_what_is_no_module_name_is_said(modules: Modules, name: str) -> None:
    with pytest.raises(ToolModuleError):
        load_tools([name], CONFIG)


def test_nothing_in_the_current_folder_hides_an_installed_module(
    modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tabnanny", raising=False)
    (modules.folder / "tabnanny.py").write_text("raise RuntimeError('the wrong tabnanny')")
    load_tools([modules.write("import tabnanny\n" + TOOL.format("a"))], CONFIG)


def test_wrong_data_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ToolModuleError, match=r"^tool module agent\.tools\.helpdesk: .*users\.yaml, line 0: cannot"):
        load_tools(["agent.tools.helpdesk"], tmp_path)
