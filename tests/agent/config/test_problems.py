from __future__ import annotations

import pytest

from agent.config.problems import Problem, describe


def test_a_problem_reads_as_one_line_that_an_editor_can_open() -> None:
    problem = Problem("config/models.yaml", 12, 5, "models.gpt.context_window", '"abc"', "an integer")

    assert str(problem) == 'config/models.yaml:12:5: models.gpt.context_window: found "abc", expected an integer'


def test_what_is_no_error_says_so() -> None:
    problem = Problem("config/models.yaml", 12, None, "", "nothing", "something", "warning")

    assert str(problem) == "config/models.yaml:12: warning: found nothing, expected something"


@pytest.mark.parametrize(
    ("value", "key", "shown"),
    [
        ("abc", "models.gpt.model", '"abc"'),
        ("a\nb", "", '"a\\nb"'),
        ("x" * 61, "", '"' + "x" * 60 + '…"'),
        (1.5, "", "1.5"),
        (True, "", "true"),
        (None, "", "nothing"),
        ({"a": 1}, "", "a mapping"),
        ([1], "", "a list"),
        (4096, "bounds.output_tokens", "4096"),
        ("many", "bounds.output_tokens", '"many"'),
        ("FIRST_KEY", "models.gpt.api_key_env", '"FIRST_KEY"'),
    ],
)
def test_values_are_shown_in_plain_words(value: object, key: str, shown: str) -> None:
    assert describe(value, key) == shown


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("hunter2", "models.gpt.api_key"),
        ("hunter2", "password"),
        ("hunter2", "variables.access-token"),
        ("sk-proj-1", "models.gpt.api_key_env"),
        ("Bearer 1", "parameters.header"),
        ("0123456789abcdef0123456789abcdef", "parameters.x"),
        ("https://user:hunter2@models.example", "models.gpt.base_url"),
        ("https://models.example/v1?api-key=hunter2", "models.gpt.base_url"),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(value: str, key: str) -> None:
    assert describe(value, key) == "a value that looks like a secret (not shown)"
