"""Arguments for unknown tools fit their schema."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel

from agent.offline.schema_arguments import Arguments, Schema


class Window(BaseModel):
    hours: int
    strict: bool


class Booking(BaseModel):
    city: str
    nights: int
    price: float
    kind: Literal["single", "double"]
    window: Window
    guests: list[str]
    note: str | None
    later: str = "unasked"


class Loop(BaseModel):
    inner: Loop


def test_fills_what_is_required_from_what_was_said() -> None:
    built = Arguments(Booking.model_json_schema(), 'book "Hotel Sun" in Rome for 3 nights at 99.5 for 2 hours').build()

    assert Booking.model_validate(built).model_dump() == {
        "city": "Hotel Sun",
        "nights": 3,
        "price": 99.5,
        "kind": "single",
        "window": {"hours": 2, "strict": True},
        "guests": ["Rome"],
        "note": "hours",
        "later": "unasked",
    }


def test_says_example_where_nothing_was_said() -> None:
    schema: Schema = {
        "type": "object",
        "properties": {"city": {"type": ["string", "null"]}, "nights": {"type": "integer"}},
        "required": ["city", "nights"],
    }

    assert Arguments(schema, "").build() == {"city": "example", "nights": 1}


class Dated(BaseModel):
    day: date
    moment: datetime
    id: UUID
    page: AnyUrl


def test_formats_are_kept_to() -> None:
    Dated.model_validate(Arguments(Dated.model_json_schema(), "use it").build())


def test_a_schema_within_itself_ends() -> None:
    assert "inner" in Arguments({**Loop.model_json_schema(), "required": ["inner"]}, "x").build()


@pytest.mark.parametrize(
    ("schema", "built"),
    [
        pytest.param({}, {}, id="empty"),
        pytest.param({"type": "object"}, {}, id="no members"),
        pytest.param({"properties": 1, "required": "a"}, {}, id="nonsense"),
        pytest.param({"required": ["a"]}, {"a": None}, id="required and not described"),
    ],
)
def test_a_schema_that_says_little_is_no_error(schema: Schema, built: Schema) -> None:
    assert Arguments(schema, "x").build() == built
