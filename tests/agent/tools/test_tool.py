from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from agent.tools.tool import Tool, tool


class Place(BaseModel):
    floor: int = 1
    desk: str


class Tree(BaseModel):
    label: str
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


@tool
def book_desk(
    user_id: str,
    place: Place,
    days: Annotated[int, Field(ge=1, le=5)] = 1,
    note: str | None = None,
    kind: Literal["sit", "stand"] = "sit",
) -> str:
    """Books a desk.

    Only for today and the days after.

    Args:
        user_id: The employee's id,
            such as U-123.
        place (Place): Where it stands.
        days: How many days.

    Returns:
        The booking's number.
    """
    return f"{user_id} {place.desk} {days} {note} {kind}"


def test_a_function_becomes_a_tool() -> None:
    assert (book_desk.name, book_desk.blocking, book_desk.timeout, book_desk.repeat) == (
        "book_desk",
        True,
        30.0,
        "never",
    )
    assert book_desk.description == (
        "Books a desk.\n\nOnly for today and the days after.\n\nReturns:\n    The booking's number."
    )
    assert book_desk.run("U-1", Place(desk="4")) == "U-1 4 1 None sit"


def test_the_schema_is_strict() -> None:
    place = {
        "type": "object",
        "properties": {"floor": {"type": "integer"}, "desk": {"type": "string"}},
        "required": ["floor", "desk"],
        "additionalProperties": False,
    }
    assert book_desk.schema == {
        "$defs": {"Place": place},
        "type": "object",
        "properties": {
            "user_id": {"type": "string", "description": "The employee's id, such as U-123."},
            "place": {**place, "description": "Where it stands."},
            "days": {
                "anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "null"}],
                "description": "How many days. Null means 1.",
            },
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "kind": {
                "anyOf": [{"type": "string", "enum": ["sit", "stand"]}, {"type": "null"}],
                "description": "Null means 'sit'.",
            },
        },
        "required": ["user_id", "place", "days", "note", "kind"],
        "additionalProperties": False,
    }
    jsonschema.Draft202012Validator.check_schema(dict(book_desk.schema))


def test_the_request_entry_is_encoded_once() -> None:
    assert json.loads(book_desk.encoded) == {
        "type": "function",
        "function": {
            "name": "book_desk",
            "description": book_desk.description,
            "parameters": book_desk.schema,
            "strict": True,
        },
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"user_id":"U-1","place":{"desk":"4"}}', "U-1 4 1 None sit"),
        ('{"user_id":"U-1","place":{"desk":"4"},"days":null,"note":null,"kind":null}', "U-1 4 1 None sit"),
        ('{"user_id":"U-1","place":{"floor":2,"desk":"4"},"days":"3","note":"x","kind":"stand"}', "U-1 4 3 x stand"),
        ('{"user_id":"U-1","user_id":"U-2","place":{"desk":"4"}}', "U-2 4 1 None sit"),
    ],
)
def test_arguments_fit_the_function(arguments: str, expected: str) -> None:
    assert book_desk.run(**book_desk.validate(arguments)) == expected


@pytest.mark.parametrize("arguments", ["", " \n", "null", "{}", " {} "])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    @tool
    async def ping() -> str:
        """Pings."""
        return "pong"

    assert ping.validate(arguments) == {}
    assert not ping.blocking


def test_the_default_stays_the_functions_own() -> None:
    shared: list[str] = []

    @tool
    def collect(to: list[str] = shared) -> str:
        """Collects."""
        return "" if to is shared else "a copy"

    assert collect.run(**collect.validate('{"to":null}')) == ""


def test_every_kind_of_parameter_fits_strict_mode() -> None:
    @tool
    def everything(
        tree: Tree,
        pet: Annotated[Cat | Dog, Field(discriminator="kind")],
        price: Decimal,
        tags: set[str],
        short: Annotated[str, Field(max_length=3)],
    ) -> None:
        """Takes everything."""

    text = everything.encoded.decode()
    for word in ("oneOf", "discriminator", "uniqueItems", "maxLength", '"title"', '"default"', "(?"):
        assert word not in text
    assert everything.schema["$defs"]["Tree"]["properties"]["children"] == {  # type: ignore[call-overload, index]
        "type": "array",
        "items": {"$ref": "#/$defs/Tree"},
    }
    with pytest.raises(ValidationError, match="at most 3 characters"):
        everything.validate('{"tree":{"label":"a"},"pet":{"kind":"cat"},"price":1,"tags":[],"short":"long"}')


def test_a_key_tool_hides_its_key() -> None:
    @tool(repeat="key", timeout=5)
    async def charge(amount: int, *, idempotency_key: str) -> str:
        """Charges.

        Args:
            amount: In cents.
            idempotency_key: Known to us alone.
        """
        return idempotency_key

    assert (charge.repeat, charge.timeout) == ("key", 5)
    assert b"idempotency_key" not in charge.encoded
    with pytest.raises(ValidationError, match="idempotency_key"):
        charge.validate('{"amount":1,"idempotency_key":"mine"}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | JSON.map(json.dumps) | st.fixed_dictionaries({"user_id": JSON, "place": JSON}).map(json.dumps))
def test_any_text_is_valid_or_a_validation_error(arguments: str) -> None:
    try:
        valid = book_desk.validate(arguments)
    except ValidationError:
        return
    assert isinstance(book_desk.run(**valid), str)


def test_a_tool_is_an_identity() -> None:
    assert book_desk == book_desk
    assert isinstance(book_desk, Tool)
    assert len({book_desk, tool(timeout=1.0)(unique)}) == 2


def unique() -> str:
    """Does."""
    return ""
