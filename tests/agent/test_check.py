from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.check import check

SHIPPED = Path(__file__).parents[2] / "config"
KEYS = {"OPENAI_API_KEY": "sk-canary-not-to-be-shown"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "config"
    shutil.copytree(SHIPPED, copy)
    return copy


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def told(folder: Path, env: dict[str, str] = KEYS) -> list[str]:
    """Without folder, line and column."""
    problems = check(folder, env)
    assert not any("canary" in str(problem) for problem in problems)
    return [f"{Path(problem.file).name} {str(problem).split(': ', 1)[1]}" for problem in problems]


def test_the_shipped_configuration_has_no_problem(folder: Path) -> None:
    assert check(folder, KEYS) == []


def test_a_key_that_is_not_set_is_a_note(folder: Path) -> None:
    expected = "a key in it (until then offline stands in for an agent's first model)"

    assert told(folder, {}) == [
        f"models.yaml note: models.{model}.api_key_env: found OPENAI_API_KEY not set, expected {expected}"
        for model in ("gpt-6-luna", "gpt-5.6-luna")
    ]


def test_a_key_that_is_not_set_where_nobody_stands_in_is_an_error(folder: Path) -> None:
    edit(folder / "models.yaml", "stand_in: offline\n", "")
    expected = "a key in it, or a `stand_in` that answers until there is one"

    assert told(folder, {}) == [
        f"models.yaml models.{model}.api_key_env: found OPENAI_API_KEY not set, expected {expected}"
        for model in ("gpt-6-luna", "gpt-5.6-luna")
    ]


@pytest.mark.parametrize("key", ["sk-canary-ü", "sk-canary\nsk-other"])
def test_a_key_that_no_header_can_hold_is_an_error(folder: Path, key: str) -> None:
    found = "OPENAI_API_KEY holds a line break or another character that a key has not"

    assert told(folder, {"OPENAI_API_KEY": key}) == [
        f"models.yaml models.{model}.api_key_env: found {found}, expected printable ASCII"
        for model in ("gpt-6-luna", "gpt-5.6-luna")
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("usd_per_turn: 0.10", "usd_per_turn: 1e-10", "agents.yaml agents.helpdesk.bounds.usd_per_turn: found "),
        (
            "usd_per_turn: 0.10",
            "usd_per_turn: 25.5",
            "agents.yaml warning: agents.helpdesk.bounds.usd_per_turn: found ",
        ),
        (
            "output_tokens: 1024",
            "output_tokens: 63",
            "agents.yaml warning: agents.helpdesk.bounds.output_tokens: found ",
        ),
    ],
)
def test_bounds_that_do_not_fit_the_money(folder: Path, old: str, new: str, line: str) -> None:
    edit(folder / "agents.yaml", old, new)

    assert all(each.startswith(line) for each in told(folder))
    assert told(folder)


def test_errors_come_first_and_a_broken_file_does_not_hide_the_others(folder: Path) -> None:
    (folder / "agents.yaml").write_text("default: helpdesk\nagents: []\n", encoding="utf-8")
    edit(folder / "models.yaml", "price: openai/gpt-5.6-luna", "price: openai/gpt-5.6-lune")
    (folder / "budgets.yaml").write_text("budgets: {}\n", encoding="utf-8")
    (folder / "prompts" / "helpdesk" / "2.md").write_text("{{ compny }}", encoding="utf-8")

    assert [(problem.severity, Path(problem.file).name, problem.key) for problem in check(folder, KEYS)] == [
        ("error", "agents.yaml", "agents"),
        ("error", "models.yaml", "models.gpt-5.6-luna.price"),
        ("error", "2.md", "template"),
        ("warning", "budgets.yaml", "budgets"),
    ]


def test_a_template_is_told_with_its_line(folder: Path) -> None:
    version = folder / "prompts" / "helpdesk" / "2.md"
    version.write_text("---\nvariables:\n  company: {}\n  unused: {}\n---\n\n{{ company\n", encoding="utf-8")
    other = folder / "prompts" / "helpdesk" / "3.md"
    other.write_bytes((folder / "prompts" / "helpdesk" / "1.md").read_bytes())

    (problem,) = check(folder, KEYS)
    assert (problem.file, problem.line, problem.key) == (str(version), 7, "template")


def test_a_variable_that_no_template_uses_is_a_warning(folder: Path) -> None:
    edit(folder / "prompts" / "helpdesk" / "1.md", "variables:\n", "variables:\n  spare: {type: text, default: x}\n")

    assert told(folder) == [
        "1.md warning: variables.spare: found one that the template doesn't use, expected one that it does"
    ]


def test_an_agents_prompt_is_rendered_with_the_agents_variables(folder: Path) -> None:
    edit(folder / "agents.yaml", "company: Example Ltd", f"company: {'x' * 16_385}")

    assert told(folder) == ["1.md template: found company of 16385 characters, expected at most 16384 characters"]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("agent.tools.missing", "there is no module agent.tools.missing"),
        ("agent.types", "has no tools"),
    ],
)
def test_a_module_without_tools_is_told_with_its_place(folder: Path, module: str, reason: str) -> None:
    edit(folder / "agents.yaml", "tools: [agent.tools.helpdesk]", f"tools: [agent.tools.helpdesk, {module}]")

    (problem,) = check(folder, KEYS)
    assert problem.key == "agents.helpdesk.tools.1"
    assert problem.column is not None
    assert f"found {module}: {reason}" in str(problem)


def test_the_helpdesks_data_is_told_in_its_own_file(folder: Path) -> None:
    users = folder / "helpdesk" / "users.yaml"
    users.write_text("users:\n  - {id: U-1}\n", encoding="utf-8")

    (problem,) = check(folder, KEYS)
    assert problem.file == str(users)
    assert problem.line == 2
    assert problem.key


def test_a_ceiling_beside_a_price_has_no_effect(folder: Path) -> None:
    edit(
        folder / "models.yaml",
        "price: openai/gpt-5.6-luna",
        "price: openai/gpt-5.6-luna\n    ceiling_usd_per_mtok: [9, 9]",
    )

    (line,) = told(folder)
    assert line.startswith("models.yaml warning: models.gpt-5.6-luna.ceiling_usd_per_mtok: found both")


def test_a_bad_base_url_in_the_environment_is_told_once(folder: Path) -> None:
    env = KEYS | {"OPENAI_BASE_URL": "http://canary:canary@models.example/v1"}

    assert told(folder, env) == [
        "environment OPENAI_BASE_URL: found a value that looks like a secret (not shown), "
        "expected a URL without credentials (they belong into the variable that api_key_env names)"
    ]


def test_plain_http_without_a_key_is_a_warning(folder: Path) -> None:
    edit(folder / "models.yaml", "http://127.0.0.1:0/v1", "http://models.example/v1")

    (line,) = told(folder)
    assert line.startswith(
        'models.yaml warning: models.offline.base_url: found "http://models.example/v1", expected https'
    )


def test_a_base_url_that_is_none_is_told_once(folder: Path) -> None:
    edit(folder / "models.yaml", "http://127.0.0.1:0/v1", "http://[::1")

    assert told(folder) == ['models.yaml models.offline.base_url: found "http://[::1", expected a URL']


def test_an_empty_folder_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    assert [problem.severity for problem in check(tmp_path, {})] == ["error"] * 4
