"""A JSON schema as OpenAI's strict mode takes it: closed objects, every property required, no defaults.

The rules are those of "Structured outputs, supported schemas" of OpenAI's documentation. Pydantic goes on checking
what the strict subset cannot say (a string's length, a set's uniqueness).
"""

from __future__ import annotations

from typing import TypeAlias

from agent.types import Json

Schema: TypeAlias = "dict[str, Json]"

_KEPT = {
    "type", "description", "enum", "const", "properties", "items", "anyOf", "$ref", "$defs", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
}  # fmt: skip
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def strict(schema: Schema) -> Schema:
    """The same schema within the strict subset. Raises ValueError, which names the place."""
    defs = schema.get("$defs")
    return _node(schema, "", defs if isinstance(defs, dict) else {})


def _node(schema: Schema, where: str, defs: Schema) -> Schema:
    if "$ref" in schema and len(schema) > 1:
        schema = _inlined(schema, defs)
    if "oneOf" in schema:
        schema = {**schema, "anyOf": schema["oneOf"]}
    _refuse_open(schema, where)
    kept = {key: _value(key, value, where, defs) for key, value in schema.items() if _keeps(key, value)}
    if kept.get("type") == "object":
        properties = kept.setdefault("properties", {})
        assert isinstance(properties, dict)
        kept |= {"required": list(properties), "additionalProperties": False}
    return kept


def _not_strict(where: str, reason: str) -> ValueError:
    return ValueError(f"{where} {reason}")


def _inlined(schema: Schema, defs: Schema) -> Schema:
    """Strict mode takes no words beside a `$ref`, and Pydantic puts a parameter's description there."""
    definition = defs[str(schema["$ref"]).removeprefix("#/$defs/")]
    assert isinstance(definition, dict)
    return {**definition, **{key: value for key, value in schema.items() if key != "$ref"}}


def _refuse_open(schema: Schema, where: str) -> None:
    if not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        raise _not_strict(where, "may be any value at all, which cannot be described to a model; annotate a type")
    if schema.get("type") == "object" and schema.get("additionalProperties", False) is not False:
        raise _not_strict(
            where, "is a dict with free keys, which cannot be described to a model; use a model or a list of pairs"
        )
    if "prefixItems" in schema:
        raise _not_strict(
            where, "is a tuple of fixed places, which cannot be described to a model; use a model or a list"
        )
    if schema.get("type") == "array" and "items" not in schema:
        raise _not_strict(where, "is a list without the type of its items, as in list[str]")


def _keeps(key: str, value: Json) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "pattern":
        return "(?" not in str(value)  # look-arounds are refused
    return key in _KEPT


def _value(key: str, value: Json, where: str, defs: Schema) -> Json:
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: _child(part, f"{where}.{name}".lstrip("."), defs) for name, part in value.items()}
    if key == "anyOf" and isinstance(value, list):
        return [_child(part, where, defs) for part in value]
    return _child(value, f"{where}[]", defs) if key == "items" else value


def _child(part: Json, where: str, defs: Schema) -> Json:
    if not isinstance(part, dict):
        raise _not_strict(where, "is a list of any items, which cannot be described to a model; use list[TYPE]")
    return _node(part, where, defs)
