"""From a function's parameters to what checks a call's arguments and describes them to the model."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # Pydantic refuses typing's own before Python 3.12

Arguments: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` is `inspect.Parameter.empty` where there is none."""

    annotation: Any  # a type as it was written, which has no narrower type
    default: object

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def nullable(self) -> bool:
        """Is None one of its own values?"""
        return TypeAdapter[object](self.annotation).validator.isinstance_python(None)


def parameters_of(function: Callable[..., object]) -> dict[str, Parameter]:
    """What the function can be called with, by name. Raises ValueError where that cannot be told."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise ValueError(f"an annotation cannot be read: {error}") from error
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ValueError(f"parameter {parameter} cannot be called by name")
        if name not in hints:
            raise ValueError(f"parameter {name} has no annotation")
        found[name] = Parameter(hints[name], parameter.default)
    return found


def checker(
    name: str, parameters: Mapping[str, Parameter], words: Mapping[str, str]
) -> tuple[TypeAdapter[Arguments], Callable[[str], Arguments]]:
    """The adapter that gives the schema, and `Tool.validate`.

    Strict mode has no optional properties: a parameter with a default admits null, which then means that default.
    """
    fields: dict[str, object] = {}
    defaulted = {name for name, parameter in parameters.items() if not parameter.required and not parameter.nullable}
    for parameter_name, parameter in parameters.items():
        annotation, description = parameter.annotation, words.get(parameter_name, "")
        if parameter_name in defaulted:
            annotation = typing.Optional[annotation]  # noqa: UP045  `|` is not defined for every annotation
            description = f"{description} Null means {parameter.default!r}.".strip()
        if description:
            annotation = Annotated[annotation, Field(description=description)]
        fields[parameter_name] = annotation if parameter.required else typing.NotRequired[annotation]
    typed = with_config(ConfigDict(extra="forbid"))(TypedDict(name, fields))  # type: ignore[operator]
    adapter = TypeAdapter[Arguments](typed)
    return adapter, _validator(adapter, frozenset(defaulted))


def _validator(adapter: TypeAdapter[Arguments], defaulted: frozenset[str]) -> Callable[[str], Arguments]:
    parse = adapter.validator.validate_json

    def validate(arguments: str) -> Arguments:
        given: Arguments = parse("{}" if arguments.strip() in ("", "null") else arguments)
        if not defaulted:
            return given
        return {name: value for name, value in given.items() if value is not None or name not in defaulted}

    return validate
