"""A prompt's template to text, in Jinja's immutable sandbox and in bounds that hold by construction.

Variables are scalars, so a template needs only text, variables, `if`/`elif`/`else`, comparisons and a few filters,
and only these are accepted. No loop, macro, call, attribute or arithmetic: time and memory grow with the template's
length and nothing in it can reach an object. The sandbox, strict undefined names and a cap on the output stand behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.config.problems import describe
from agent.config.shapes import Scalar
from agent.prompts.versions import PromptVersion, fits

MAX_OUTPUT_CHARACTERS = 1_048_576
MAX_TEMPLATE_CHARACTERS = 131_072
MAX_VALUE_CHARACTERS = 16_384
FILTERS = ("capitalize", "length", "lower", "title", "trim", "upper")
_ACCEPTED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Filter,
)
_LANGUAGE = "text, variables, if/elif/else, comparisons and the filters " + ", ".join(FILTERS)
# What Jinja's parser and compiler raise on text that is nested too deeply or holds numbers of too many digits.
_UNUSABLE = (RecursionError, MemoryError, OverflowError, SyntaxError, ValueError)


class PromptError(Exception):
    """A prompt version can't be rendered. For the operator; `line` counts from the top of the version's file."""

    def __init__(self, version: PromptVersion, line: int | None, found: str, expected: str) -> None:
        place = "" if line is None else f" line {line}"
        super().__init__(f"prompt {version.name}@{version.version}{place}: found {found}, expected {expected}")
        self.name, self.version = version.name, version.version
        self.line, self.found, self.expected = line, found, expected


class _Defect(Exception):
    """A place in a template that isn't accepted; `line` counts from the top of the template."""

    def __init__(self, line: int, found: str, expected: str) -> None:
        super().__init__(found)
        self.line, self.found, self.expected = line, found, expected


def render(version: PromptVersion, variables: Mapping[str, Scalar]) -> str:
    """The text that the model is given, without blank space around it. Raises PromptError."""
    values = _values(version, variables)
    compiled = _checked(version)
    try:
        return _text(compiled.template, values).strip()
    except (TemplateError, TypeError, OverflowError) as error:
        raise PromptError(version, None, str(error), "a template that renders with these variables") from error


def check_template(version: PromptVersion) -> list[str]:
    """Declared variables that the template never names. Raises PromptError for what is wrong with the template
    itself, whatever it is given: syntax, constructs, names that aren't declared."""
    names = _checked(version).names
    return [variable.name for variable in version.variables if variable.name not in names]


def _checked(version: PromptVersion) -> _Compiled:
    try:
        compiled = _compile(version.template)
        declared = {variable.name for variable in version.variables}
        for name in compiled.names.keys() - declared:
            expected = f"a variable that the front matter declares ({', '.join(sorted(declared)) or 'none'})"
            raise _Defect(compiled.names[name], f"the name {describe(name)}", expected)
    except _Defect as defect:
        line = version.template_line + defect.line - 1
        raise PromptError(version, line, defect.found, defect.expected) from defect
    return compiled


def _values(version: PromptVersion, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    declared = {variable.name: variable for variable in version.variables}
    for name in given:
        if name not in declared:
            names = ", ".join(sorted(declared)) or "none"
            raise PromptError(version, None, f"the variable {describe(name)}", f"one of those declared: {names}")
    values: dict[str, Scalar] = {}
    for name, variable in declared.items():
        value = given.get(name, variable.default)
        if value is None or not fits(variable.type, value):
            raise PromptError(version, None, f"{name} = {describe(value, name)}", f"{name} to be {variable.type}")
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
            found = f"{name} of {len(value)} characters"
            raise PromptError(version, None, found, f"at most {MAX_VALUE_CHARACTERS} characters")
        values[name] = value
    return values


def _text(template: Template, values: Mapping[str, Scalar]) -> str:
    pieces: list[str] = []
    length = 0
    for piece in template.generate(values):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_OUTPUT_CHARACTERS:
            raise OverflowError(f"more than {MAX_OUTPUT_CHARACTERS} characters of output")
    return "".join(pieces)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, cache_size=0
    )


@dataclass(frozen=True, slots=True)
class _Compiled:
    """`names` holds each name that the template uses and the first line that does."""

    template: Template
    names: dict[str, int]


@lru_cache(maxsize=256)
def _compile(source: str) -> _Compiled:
    """Cached by the text itself: two versions of one text share it, and no text is ever served for another."""
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise _Defect(1, f"{len(source)} characters", f"at most {MAX_TEMPLATE_CHARACTERS} characters")
    try:
        syntax = _environment().parse(source)
        _check_constructs(syntax)
        names: dict[str, int] = {}
        for name in syntax.find_all(nodes.Name):
            names.setdefault(name.name, name.lineno)
        return _Compiled(_environment().from_string(syntax), names)
    except TemplateSyntaxError as error:
        raise _Defect(error.lineno, f"a mistake ({(error.message or '').rstrip('.')})", "a valid template") from error
    except _UNUSABLE as error:
        raise _Defect(1, f"text that Jinja can't compile ({type(error).__name__})", "a simpler template") from error


def _check_constructs(syntax: nodes.Template) -> None:
    for node in syntax.find_all(nodes.Node):
        if not isinstance(node, _ACCEPTED):
            raise _Defect(node.lineno or 1, f"`{type(node).__name__.lower()}`", _LANGUAGE)
    for filter_ in syntax.find_all(nodes.Filter):
        if filter_.name not in FILTERS or filter_.args or filter_.kwargs:
            expected = "one of " + ", ".join(FILTERS) + ", without arguments"
            raise _Defect(filter_.lineno, f"the filter `{filter_.name}`", expected)
