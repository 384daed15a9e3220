# ruff: noqa: E501  (what is told is one line, and is compared as one)
"""What operators get wrong in `config/`, and what they are told."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from agent.config import ConfigError
from agent.config.load import load_config


def told(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_config(folder)
    assert str(raised.value) == "\n".join(map(str, raised.value.problems))
    return str(raised.value).replace(f"{folder}{os.sep}", "").splitlines()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_shipped_configuration_loads() -> None:
    config = load_config(Path(__file__).parents[3] / "config")

    assert config.agents.agents[config.agents.default].bounds.usd_per_turn == Decimal("0.10")
    assert config.models.stand_in == "offline"
    assert config.models.models["offline"].api_key_env is None
    assert config.budgets.budgets["everything"].limit_usd == 25
    assert config.newest_prompt("helpdesk").variables


CHAIN = "models: [big, small]"
STEPS = "agents.yaml:8:7: agents.desk.bounds.steps: found"
MISTAKES = [
    # a value of the wrong kind
    ("agents.yaml", "steps: 8", "steps: abc", f'{STEPS} "abc", expected an integer'),
    ("agents.yaml", "steps: 8", 'steps: "8"', f'{STEPS} "8", expected an integer'),
    ("agents.yaml", "steps: 8", "steps: true", f"{STEPS} true, expected an integer"),
    ("agents.yaml", "steps: 8", "steps: 8.5", f"{STEPS} 8.5, expected an integer"),
    ("agents.yaml", "steps: 8", "steps: 1", f"{STEPS} 1, expected at least 2"),
    ("agents.yaml", "steps: 8", "steps: 0o10000", f"{STEPS} 4096, expected at most 1000"),
    ("agents.yaml", "steps: 8", "steps:", f"{STEPS} nothing, expected an integer"),
    ("agents.yaml", "seconds: 120", "seconds: 2:00", 'agents.yaml:9:7: agents.desk.bounds.deadline_seconds: found "2:00", expected a number'),
    ("agents.yaml", "usd_per_turn: 0.10", "usd_per_turn: $0.10", 'agents.yaml:11:7: agents.desk.bounds.usd_per_turn: found "$0.10", expected a number'),
    ("agents.yaml", "usd_per_turn: 0.10", "usd_per_turn: -0.1", "agents.yaml:11:7: agents.desk.bounds.usd_per_turn: found -0.1, expected more than 0"),
    ("agents.yaml", CHAIN, "models: big", 'agents.yaml:5:5: agents.desk.models: found "big", expected a list'),
    ("agents.yaml", CHAIN, "models: []", "agents.yaml:5:5: agents.desk.models: found a list, expected at least 1 entry"),
    ("agents.yaml", "{company: Example Ltd}", "{company: [a, b]}", "agents.yaml:6:17: agents.desk.variables.company: found a list, expected text or an integer or a number or true or false"),
    ("agents.yaml", "{company: Example Ltd}", "Example Ltd", 'agents.yaml:6:5: agents.desk.variables: found "Example Ltd", expected a mapping (lines of `key: value`)'),
    # names that don't exist
    ("agents.yaml", "default: desk", "default: dest", 'agents.yaml:1:1: default: found "dest", expected one of desk'),
    ("agents.yaml", CHAIN, "models: [bigger]", 'agents.yaml:5:14: agents.desk.models.0: found "bigger", expected one of big, local, small (models.yaml)'),
    ("agents.yaml", CHAIN, "models: [big, big]", 'agents.yaml:5:19: agents.desk.models.1: found "big", expected each model once'),
    ("agents.yaml", "prompt: desk", "prompt: sales", 'agents.yaml:4:5: agents.desk.prompt: found "sales", expected one of desk (folders of prompts/)'),
    ("models.yaml", "stand_in: local", "stand_in: loca", 'models.yaml:1:1: stand_in: found "loca", expected one of big, local, small'),
    # keys
    ("agents.yaml", "steps: 8", "step: 8", 'agents.yaml:8:7: agents.desk.bounds.step: found the key "step", expected `steps`'),
    ("agents.yaml", "    prompt: desk\n", "", "agents.yaml:3:3: agents.desk.prompt: found nothing, expected a value (it is required)"),
    ("agents.yaml", "  desk:\n", "  The Desk:\n", 'agents.yaml:3:3: agents.The Desk: found the key "The Desk", expected a name (a-z, 0-9, `.`, `_`, `-`; at most 64 characters)'),
    ("budgets.yaml", "  everything:\n", "  everything: {limit_usd: 1}\n  everything:\n", "budgets.yaml:3:3: budgets.everything: found the key twice, expected it once (the first is on line 2)"),
    ("budgets.yaml", "budgets:\n", "limits: {}\nbudgets:\n", 'budgets.yaml:1:1: limits: found the key "limits", expected one of budgets'),
    ("budgets.yaml", "mode: hard", "mode: soft", "budgets.yaml:5:5: budgets.everything.mode: found \"soft\", expected `hard`"),
    # the prompt's variables
    ("agents.yaml", "{company: Example Ltd}", "{company: x, firm: y}", "agents.yaml:6:29: agents.desk.variables.firm: found the key, expected a variable of prompt desk@1: company"),
    ("agents.yaml", "{company: Example Ltd}", "{company: 7}", "agents.yaml:6:17: agents.desk.variables.company: found 7, expected text (prompt desk@1)"),
    ("agents.yaml", "{company: Example Ltd}", "{}", "agents.yaml:6:5: agents.desk.variables.company: found nothing, expected text (required by prompt desk@1)"),
    # numbers and keys that must agree
    ("agents.yaml", "output_tokens: 1024", "output_tokens: 4097", "agents.yaml:10:7: agents.desk.bounds.output_tokens: found 4097, expected at most output_cap of small (4096)"),
    ("models.yaml", "minimal_answer: 64", "minimal_answer: 2049", "models.yaml:22:5: models.local.minimal_answer: found 2049, expected at most output_cap (2048)"),
    ("models.yaml", "output_cap: 2048", "output_cap: 8193", "models.yaml:21:5: models.local.output_cap: found 8193, expected at most context_window (8192)"),
    ("models.yaml", "free: true", "free: true\n    price: openai/x", "models.yaml:23:5: models.local.free: found true, expected either `free: true` or a price, not both"),
    ("models.yaml", "    free: true\n", "", "models.yaml:15:3: models.local.price: found no price, expected `price: PROVIDER/MODEL`, `ceiling_usd_per_mtok: [INPUT, OUTPUT]` for a model without a known price, or `free: true` (a hard budget refuses what it cannot bound)"),
    ("models.yaml", "price: openai/small-1", "price: small-1", 'models.yaml:14:5: models.small.price: found "small-1", expected PROVIDER/MODEL'),
    ("models.yaml", "price: openai/small-1", "ceiling_usd_per_mtok: [0, 3]", "models.yaml:14:28: models.small.ceiling_usd_per_mtok.0: found 0, expected more than 0"),
    ("models.yaml", "price: openai/small-1", "ceiling_usd_per_mtok: [3]", "models.yaml:14:5: models.small.ceiling_usd_per_mtok.1: found nothing, expected a value (it is required)"),
    ("models.yaml", "model: local", "model: local\n    parameters: {n: 4}", "models.yaml:18:18: models.local.parameters.n: found the key, expected no such parameter: the agent sets it"),
    # what every request says
    ("models.yaml", "model: local", "model: local\n    parameters: {seed: abc}", 'models.yaml:18:18: models.local.parameters.seed: found "abc", expected an integer'),
    ("models.yaml", "model: local", "model: local\n    parameters: {seed: 1.5}", "models.yaml:18:18: models.local.parameters.seed: found 1.5, expected an integer"),
    ("models.yaml", "model: local", "model: local\n    parameters: {temperature: hot}", 'models.yaml:18:18: models.local.parameters.temperature: found "hot", expected a number'),
    ("models.yaml", "model: local", "model: local\n    parameters: {top_p: true}", "models.yaml:18:18: models.local.parameters.top_p: found true, expected a number"),
    ("models.yaml", "model: local", "model: local\n    parameters: {service_tier: 1}", "models.yaml:18:18: models.local.parameters.service_tier: found 1, expected text"),
    ("models.yaml", "model: local", "model: local\n    parameters: {logprobs: 1}", "models.yaml:18:18: models.local.parameters.logprobs: found 1, expected true or false"),
    ("models.yaml", "model: local", "model: local\n    parameters: {max_tokens: many}", "models.yaml:18:18: models.local.parameters.max_tokens: found the key, expected no such parameter: the agent sets it"),
    # where requests go
    ("models.yaml", "http://127.0.0.1:8000/v1", "ftp://127.0.0.1/v1", 'models.yaml:18:5: models.local.base_url: found "ftp://127.0.0.1/v1", expected an http or https URL with a host'),
    ("models.yaml", "model: small-1", "model: small-1\n    base_url: http://models.example", 'models.yaml:12:5: models.small.base_url: found "http://models.example", expected https (plain http to another machine would send the key in the clear)'),
    # secrets are not repeated
    ("models.yaml", "api_key_env: null", "api_key_env: sk-not-shown", "models.yaml:19:5: models.local.api_key_env: found a value that looks like a secret (not shown), expected the name of an environment variable (A-Z, 0-9, `_`), not the key itself"),
    # the form of the file
    ("budgets.yaml", "    scope: everything", "\tscope: everything", "budgets.yaml:3:1: found a tab, expected spaces"),
    ("budgets.yaml", "limit_usd: 25", "limit_usd: &limit 25", "budgets.yaml:4:16: budgets.everything.limit_usd: found an anchor or alias (`&name`, `*name`), expected the value itself, written out"),
    ("budgets.yaml", "limit_usd: 25", "limit_usd: !!int 25", "budgets.yaml:4:16: budgets.everything.limit_usd: found a tag (`!name`), expected a value without a tag"),
    ("budgets.yaml", "limit_usd: 25", "limit_usd: .inf", 'budgets.yaml:4:16: budgets.everything.limit_usd: found ".inf", expected a finite number'),
    ("budgets.yaml", "limit_usd: 25", "limit_usd: " + "9" * 5000, "budgets.yaml:4:16: budgets.everything.limit_usd: found a number of more than 63 bits, expected a smaller number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"), MISTAKES, ids=[f"{number}" for number, _ in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_place(folder: Path, file: str, old: str, new: str, expected: str) -> None:
    edit(folder / file, old, new)

    assert told(folder) == [expected]


def test_all_problems_of_all_files_are_told_at_once(folder: Path) -> None:
    edit(folder / "agents.yaml", "steps: 8", "steps: many")
    edit(folder / "agents.yaml", "usd_per_turn: 0.10", "usd_per_turn: 0")
    edit(folder / "models.yaml", "stand_in: local", "stand_in: nobody")
    edit(folder / "models.yaml", "output_cap: 2048", "output_cap: 8193")
    (folder / "budgets.yaml").write_text("- 25\n", encoding="utf-8")
    (folder / "prompts" / "desk" / "2.md").write_text("---\nvariables: 1\n---\nHello.\n", encoding="utf-8")

    assert told(folder) == [
        'agents.yaml:8:7: agents.desk.bounds.steps: found "many", expected an integer',
        "agents.yaml:11:7: agents.desk.bounds.usd_per_turn: found 0, expected more than 0",
        "budgets.yaml:1:1: found a list, expected a mapping (lines of `key: value`)",
        "prompts/desk/2.md:2:1: variables: found 1, expected a mapping (lines of `key: value`)",
        'models.yaml:1:1: stand_in: found "nobody", expected one of big, local, small',
        "models.yaml:21:5: models.local.output_cap: found 8193, expected at most context_window (8192)",
    ]


def test_a_broken_prompt_is_not_also_a_missing_one(folder: Path) -> None:
    (folder / "prompts" / "desk" / "1.md").write_text("---\nvariables: 1\n---\n", encoding="utf-8")

    assert [line.split(":")[0] for line in told(folder)] == ["prompts/desk/1.md"]


def test_files_that_are_not_there_are_all_told(tmp_path: Path) -> None:
    assert told(tmp_path) == [
        "agents.yaml: found no such file, expected a file",
        "models.yaml: found no such file, expected a file",
        "budgets.yaml: found no such file, expected a file",
        "prompts: found No such file or directory, expected a folder",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "budgets.yaml:1:1: found an empty file, expected a mapping (lines of `key: value`)"),
        (b"# nothing\n", "budgets.yaml:1:1: found an empty file, expected a mapping (lines of `key: value`)"),
        (b"budgets: {}\n---\nbudgets: {}\n", "budgets.yaml:2:1: found a second document, expected one document in a file"),
        (b"budgets:\n  a: \xff\n", "budgets.yaml:2: found byte 0xff, expected text in UTF-8"),
        (b"budgets: {}\n#\x07\n", "budgets.yaml:2:2: found the control character U+0007, expected printable text"),
        (b"#" * 1_048_577, "budgets.yaml: found more than 1048576 bytes, expected a file of at most 1 MiB"),
        (b"budgets: {1: {limit_usd: 1}}", "budgets.yaml:1:11: budgets: found 1 as a key, expected text as a key (put it in quotes)"),
        (b"budgets: {? [a] : 1}", "budgets.yaml:1:13: budgets: found a list as a key, expected text as a key (put it in quotes)"),
        (b'budgets: {"a\\0": 1}', "budgets.yaml:1:11: budgets.?: found an escape for NUL or half a surrogate pair, expected characters that text can hold"),
        (b"budgets: *all", "budgets.yaml:1:10: budgets: found an anchor or alias (`&name`, `*name`), expected the value itself, written out"),
        (b"budgets: " + b"[" * 40 + b"]" * 40, "budgets.yaml:1:42: budgets.0.0: found more than 32 levels, expected less nesting"),
        (b"budgets: " + b"[" * 100_000, "budgets.yaml:1:1009: found text that is not YAML (exceeded maximum nesting depth), expected valid YAML"),
    ],
)  # fmt: skip
def test_a_file_of_the_wrong_form(folder: Path, content: bytes, expected: str) -> None:
    (folder / "budgets.yaml").write_bytes(content)

    assert told(folder) == [expected]


def test_half_a_surrogate_pair_is_refused_by_either_parser(folder: Path) -> None:
    (folder / "budgets.yaml").write_text('budgets: {a: {scope: "\\ud800"}}', encoding="utf-8")

    (problem,) = told(folder)
    assert problem.startswith("budgets.yaml:1:2")


def test_a_fifo_does_not_hang_the_start(folder: Path) -> None:
    (folder / "budgets.yaml").unlink()
    os.mkfifo(folder / "budgets.yaml")

    assert told(folder) == ["budgets.yaml: found something else, expected a file"]


def test_a_byte_order_mark_and_windows_lines_are_read(folder: Path) -> None:
    for file in ("agents.yaml", "prompts/desk/1.md"):
        text = (folder / file).read_bytes()
        (folder / file).write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))

    assert load_config(folder).newest_prompt("desk").variables[0].name == "company"


def test_words_that_yaml_1_1_takes_for_something_else_stay_text(folder: Path) -> None:
    edit(folder / "agents.yaml", "company: Example Ltd", "company: NO")

    assert load_config(folder).agents.agents["desk"].variables["company"] == "NO"


def test_parameters_that_nobody_here_knows_pass(folder: Path) -> None:
    edit(folder / "models.yaml", "model: local", "model: local\n    parameters: {min_p: x, temperature: 1, seed: 7}")

    assert load_config(folder).models.models["local"].parameters == {"min_p": "x", "temperature": 1, "seed": 7}
