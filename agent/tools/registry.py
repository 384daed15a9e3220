"""From the modules named in `agents.yaml` to the tools of an agent."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

from agent.tools.threads import ToolThreads
from agent.tools.tool import Tool, ToolConfigError, ToolDefinitionError

FACTORY = "tools"
_THREADS = 32
_NOT_THE_ENGINEERS = (Path(__file__).parents[1], Path(importlib.__file__).parent)


class ToolModuleError(Exception):
    """A tool module named in the configuration cannot be used. `module` is its name, `reason` why."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"tool module {module}: {reason}")
        self.module = module
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Registry:
    """An agent's tools by name, in the order of their modules.

    `encoded` is the JSON array for a request's `tools`, and empty without tools: providers refuse an empty array.
    """

    tools: Mapping[str, Tool]
    encoded: bytes
    threads: ToolThreads


def load_tools(modules: Sequence[str], config: Path, threads: ToolThreads | None = None) -> Registry:
    """Imports the modules, from the module search path and then the current folder, and takes their tools.

    A module's tools are what its `tools(config: Path)` returns, where it has such a function (`config` is the
    configuration's folder), else its module-level Tool objects. Raises ToolModuleError.
    """
    tools: dict[str, Tool] = {}
    origin: dict[str, str] = {}
    for module in modules:
        for tool in _tools_of(module, config):
            if tools.get(tool.name, tool) is not tool:
                raise ToolModuleError(module, f"has a tool {tool.name}, as has {origin[tool.name]}; rename one")
            tools[tool.name] = tool
            origin.setdefault(tool.name, module)
    encoded = b"[" + b",".join(tool.encoded for tool in tools.values()) + b"]" if tools else b""
    return Registry(MappingProxyType(tools), encoded, threads or ToolThreads(_THREADS))


def _tools_of(name: str, config: Path) -> list[Tool]:
    module = _imported(name)
    factory = getattr(module, FACTORY, None)
    try:
        found = list(factory(config)) if callable(factory) else list(_module_level(module))
    except ToolConfigError as error:
        raise ToolModuleError(name, str(error)) from error
    except Exception as error:  # an engineer's code
        raise ToolModuleError(name, f"{FACTORY}() failed: {_told(error)}") from error
    if strange := [item for item in found if not isinstance(item, Tool)]:
        raise ToolModuleError(name, f"{FACTORY}() gave a {type(strange[0]).__name__}, which is no Tool; use @tool")
    if not found:
        raise ToolModuleError(name, "has no tools: no function with @tool, no function tools(config)")
    return found


def _module_level(module: ModuleType) -> Iterator[Tool]:
    return (value for value in vars(module).values() if isinstance(value, Tool))


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing in the current folder hides an installed module
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ToolModuleError(name, f"there is no module {error.name}, installed or in {here}") from error
        raise ToolModuleError(name, f"cannot be imported: {_told(error)}") from error
    except (Exception, SystemExit) as error:  # an engineer's code
        raise ToolModuleError(name, f"cannot be imported: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """The error and the engineer's own line that it comes from; a SyntaxError brings its place along."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    kind = "" if isinstance(error, ToolDefinitionError) else f"{type(error).__name__}: "
    return f"{kind}{error}{place}"


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen ") or any(Path(file).is_relative_to(folder) for folder in _NOT_THE_ENGINEERS)
