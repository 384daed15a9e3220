from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.prompts.templates import (
    MAX_OUTPUT_CHARACTERS,
    MAX_TEMPLATE_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    PromptError,
    check_template,
    render,
)
from agent.prompts.versions import PromptVersion, Variable, load_versions

VARIABLES = (
    Variable("company", "text", "Example Ltd"),
    Variable("floor", "integer", 3),
    Variable("night", "boolean", False),
)


def version(template: str, variables: tuple[Variable, ...] = VARIABLES, template_line: int = 1) -> PromptVersion:
    return PromptVersion("desk", 1, "0" * 64, template, variables, "", template_line)


def refusal(template: str, variables: tuple[Variable, ...] = VARIABLES) -> PromptError:
    """Found without any variables given, by the check and by rendering alike."""
    with pytest.raises(PromptError) as checked:
        check_template(version(template, variables))
    with pytest.raises(PromptError) as rendered:
        render(version(template, variables), {})
    assert str(checked.value) == str(rendered.value)
    return checked.value


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("\n\nHello.\n\n", "Hello."),
        ("{{ company }} on {{ floor }}", "Example Ltd on 3"),
        ("{{ company|upper|trim }}", "EXAMPLE LTD"),
        ("{{ company|length }}", "11"),
        ("{# not said #}{% raw %}{{ said }}{% endraw %}", "{{ said }}"),
        ("{% if night %}\nClosed.\n{% elif floor > 2 and not night %}\nUp.\n{% else %}\nHere.\n{% endif %}", "Up."),
        ("{{ 'up' if floor >= 1 else 'down' }}", "up"),
        ("<b>{{ company }}</b> & co", "<b>Example Ltd</b> & co"),
    ],
)  # fmt: skip
def test_what_a_template_can_say(template: str, expected: str) -> None:
    assert render(version(template), {}) == expected


def test_what_is_given_goes_before_the_default_and_is_never_a_template() -> None:
    assert render(version("{{ company }}"), {"company": "{{ floor }} <&>"}) == "{{ floor }} <&>"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"companies": "x"}, 'found the variable "companies", expected one of those declared: company, floor, night'),
        ({"floor": "3"}, 'found floor = "3", expected floor to be integer'),
        ({"floor": True}, "found floor = true, expected floor to be integer"),
        ({"company": "x" * 16_385}, "found company of 16385 characters, expected at most 16384 characters"),
    ],
)  # fmt: skip
def test_a_variable_that_is_unknown_or_does_not_fit(given: dict[str, str | int], message: str) -> None:
    with pytest.raises(PromptError) as raised:
        render(version("{{ company }}"), given)
    assert str(raised.value) == f"prompt desk@1: {message}"


def test_a_variable_without_a_default_must_be_given() -> None:
    needs_name = version("{{ name }}", (Variable("name", "text", None),))

    assert render(needs_name, {"name": "Alex"}) == "Alex"
    with pytest.raises(PromptError, match="found name = nothing, expected name to be text"):
        render(needs_name, {})


def test_a_name_that_is_not_declared_is_found_on_its_line_of_the_file() -> None:
    with pytest.raises(PromptError) as raised:
        check_template(version("Hello\n{% if night %}\n{{ compny }}\n{% endif %}\n", template_line=5))

    assert raised.value.line == 7
    assert 'found the name "compny", expected a variable that the front matter declares' in str(raised.value)


def test_a_variable_that_is_declared_and_not_used_is_named() -> None:
    assert check_template(version("{{ company }}")) == ["floor", "night"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ company.__class__.__mro__ }}",
        "{{ company['__class__'] }}",
        "{{ company|attr('__class__') }}",
        "{{ company.upper() }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ 'x' * 100000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ company ~ company }}",
        "{{ company|center(100000000) }}",
        "{{ company|replace('x', company) }}",
        "{{ range(100000000)|list }}",
        "{{ [1, 2] }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% set x = company %}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% filter upper %}x{% endfilter %}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{% import 'x' as x %}",
        "{% block x %}{{ self.x() }}{% endblock %}",
        "{% autoescape true %}{{ company }}{% endautoescape %}",
        "{{ self }}",
        "{{ namespace }}",
        "{{ company is defined }}",
    ],
)
def test_a_template_reaches_no_object_and_repeats_nothing(template: str) -> None:
    assert refusal(template).line == 1


@pytest.mark.parametrize(
    ("template", "construct"),
    [
        ("{% for company in company %}{{ company }}{% endfor %}", "`for`"),
        ("{% set company = company %}", "`assign`"),
        ("{{ company ~ company }}", "`concat`"),
        ("{{ floor * floor }}", "`mul`"),
        ("{{ company() }}", "`call`"),
        ("{{ company.upper }}", "`getattr`"),
        ("{{ company[0] }}", "`getitem`"),
        ("{{ company is defined }}", "`test`"),
        ("{{ company|list }}", "the filter `list`"),
        ("{{ company|trim('x') }}", "the filter `trim`"),
    ],
)
def test_a_construct_is_refused_by_its_name(template: str, construct: str) -> None:
    assert refusal(template).found == construct


@pytest.mark.parametrize(
    "template",
    [
        "{{ company",
        "{% if night %}",
        "{% endif %}",
        "{% unknown %}",
        "{{ }}",
        "{{ '\\ud800",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 20_000 + "night }}",
        "{{ " + "9" * 5000 + " }}",
        "{% if night %}" + "{% elif night %}" * 8000 + "{% endif %}",
        "{% if night %}" * 4000 + "{% endif %}" * 4000,
        "{" * MAX_TEMPLATE_CHARACTERS,
        "x" * (MAX_TEMPLATE_CHARACTERS + 1),
    ],
    ids=lambda template: template[:16],
)
def test_a_template_that_is_none_is_a_clear_error(template: str) -> None:
    assert refusal(template).found


def test_the_output_is_bounded() -> None:
    fits = MAX_OUTPUT_CHARACTERS // MAX_VALUE_CHARACTERS
    value = {"company": "x" * MAX_VALUE_CHARACTERS}

    assert len(render(version("{{ company }}" * fits), value)) == MAX_OUTPUT_CHARACTERS
    with pytest.raises(PromptError, match="more than 1048576 characters of output"):
        render(version("{{ company }}" * fits + "x"), value)


@pytest.mark.parametrize("template", ["{{ company < floor }}", "{{ floor|length }}"])
def test_what_fails_only_with_its_values_is_a_clear_error(template: str) -> None:
    with pytest.raises(PromptError, match="expected a template that renders with these variables"):
        render(version(template), {})


pieces = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "if ",
            "else",
            "elif ",
            "endif",
            "for x in ",
            "endfor",
            "company",
            "floor",
        ),
        *(
            " + ",
            " * ",
            "(",
            ")",
            "[",
            "]",
            ".",
            "__class__",
            "|",
            "upper",
            "'",
            '"',
            "\\",
            "-",
            "not ",
            "and ",
            "\n",
            " ",
        ),
    ]
)


@settings(max_examples=500, deadline=5000)
@given(template=st.lists(pieces | st.text(max_size=3), max_size=30).map("".join))
def test_any_text_renders_or_is_refused(template: str) -> None:
    try:
        text = render(version(template), {})
    except PromptError as error:
        text = error.found
    assert isinstance(text, str)


def test_the_helpdesk_prompt_says_who_it_answers_for_and_what_is_data() -> None:
    newest = load_versions(Path(__file__).parents[3] / "config" / "prompts")["helpdesk"][-1]

    text = render(newest, {"company": "Northwind", "escalation_contact": "the desk on 4357"})
    assert "Northwind" in text
    assert "the desk on 4357" in text
    assert "is data" in text
    assert check_template(newest) == []
