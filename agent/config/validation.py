"""A YAML document against its shape: pydantic checks, and its errors come out as places in the file."""

from __future__ import annotations

import json
from difflib import get_close_matches
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent.config.documents import MAX_PROBLEMS, Document, KeyPath
from agent.config.problems import ConfigError, Problem, describe

Shape = TypeVar("Shape", bound=BaseModel)

_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping (lines of `key: value`)",
    "model_type": "a mapping (lines of `key: value`)",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} entry",
    "too_long": "at most {max_length} entries",
    "string_pattern_mismatch": "text of the form {pattern}",
}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "a name (a-z, 0-9, `.`, `_`, `-`; at most 64 characters)",
    r"^[a-z][a-z0-9_]{0,63}$": "a variable's name (a-z, 0-9, `_`, a letter first; at most 64 characters)",
    r"^[^/\s]+/\S+$": "PROVIDER/MODEL",
    r"^[A-Z][A-Z0-9_]{0,127}$": "the name of an environment variable (A-Z, 0-9, `_`), not the key itself",
}


def validate(shape: type[Shape], document: Document) -> Shape:
    """The document as `shape`, no type converted to another. Raises ConfigError with every problem found."""
    try:
        # By way of JSON, because only there does strict mode take a list for a tuple and a number for a Decimal.
        return shape.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise ConfigError(tuple(_problems(shape, document, details[:MAX_PROBLEMS])))


def _problems(shape: type[BaseModel], document: Document, details: list[ErrorDetails]) -> list[Problem]:
    """One problem for each place: the branches of a union are errors of their own to pydantic, not to a reader."""
    expected: dict[tuple[KeyPath, str], list[str]] = {}
    for detail in details:
        path = _written_path(document, detail)
        expected.setdefault((path, _found(document, path, detail)), []).append(_expected(shape, path, detail))
    return [document.problem(path, " or ".join(words), found) for (path, found), words in expected.items()]


def _written_path(document: Document, detail: ErrorDetails) -> KeyPath:
    """The error's location without pydantic's own additions: the branch of a union, `[key]`."""
    location = detail["loc"]
    if detail["type"] == "missing":
        return location
    return next((location[:end] for end in range(len(location), 0, -1) if location[:end] in document.places), ())


def _found(document: Document, path: KeyPath, detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "nothing"
    if detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",):
        return f"the key {describe(str(path[-1]))}"
    return describe(document.at(path), str(path[-1]) if path else "")


def _expected(shape: type[BaseModel], path: KeyPath, detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "a value (it is required)"
    if detail["type"] == "extra_forbidden":
        return _known_keys(shape, path)
    context = detail.get("ctx", {})
    if words := _PATTERNS.get(context.get("pattern", "")):
        return words
    return _EXPECTED.get(detail["type"], detail["msg"]).format_map(context).replace("'", "`")


def _known_keys(shape: type[BaseModel], path: KeyPath) -> str:
    keys = sorted(_fields_at(shape, path[:-1]))
    close = get_close_matches(str(path[-1]), keys, n=1)
    return f"`{close[0]}`" if close else "one of " + ", ".join(keys)


def _fields_at(annotation: object, path: KeyPath) -> list[str]:
    """The keys that a shape allows at `path`: through models by field, through mappings and lists by their items."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(branch for branch in get_args(annotation) if branch is not type(None))
    fields = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    if not path:
        return list(fields or ())
    if fields is not None:
        return _fields_at(fields[str(path[0])].annotation, path[1:])
    items = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return _fields_at(items[-1], path[1:])
