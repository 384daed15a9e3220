"""A turn's tree, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from agent.cli.terminal import moment, safe, seconds, show_table, tokens, usd

if TYPE_CHECKING:
    from rich.console import Console

    from agent.trace_tree import AttemptNode, ChatNode, Node, ToolNode, TurnTree


_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-"})


class Line(NamedTuple):
    """A span or an attempt, in words; empty where there is nothing to say."""

    span: str
    duration: str
    counts: str
    cost: str
    notes: str


def show(console: Console, turn: TurnTree) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("span", no_wrap=True)
    for name in ("time", "tokens in / out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for line in _lines(turn):
        failed = line.notes.startswith("error ")
        table.add_row(*(_drawn(console, safe(cell)) for cell in line), style="red" if failed else None)
    show_table(console, table)
    console.print(_closing(turn), style="dim", soft_wrap=True)


def _drawn(console: Console, text: str) -> str:
    """In ASCII where the terminal's encoding has no lines."""
    try:
        "├".encode(console.encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII)
    return text


def _lines(turn: TurnTree) -> Iterator[Line]:
    ended = turn.outcome or turn.state
    yield Line(
        f"invoke_agent {turn.agent}",
        _duration(turn.began, turn.ended),
        f"{tokens(turn.input_tokens)} / {tokens(turn.output_tokens)}",
        usd(turn.cost),
        ended if ended in ("answered", "running", "queued") else f"error {ended}",
    )
    for node in turn.nodes:
        last = node is turn.nodes[-1]
        yield from _node(node, "└── " if last else "├── ", "    " if last else "│   ")


def _node(node: Node, branch: str, below: str) -> Iterator[Line]:
    from agent.trace_tree import ToolNode

    if isinstance(node, ToolNode):
        yield _tool(node, branch)
        return
    yield _chat(node, branch)
    if len(node.attempts) > 1:
        for attempt in node.attempts:
            last = attempt is node.attempts[-1]
            yield _attempt(node, attempt, below + ("└── " if last else "├── "))


def _tool(node: ToolNode, branch: str) -> Line:
    notes = [f"error {node.error_type}"] if node.error_type else []
    notes += ["outcome unknown: its process died"] if node.state == "unknown" else []
    notes += ["content erased"] if node.name is None else []
    return Line(
        f"{branch}execute_tool {node.name or '?'}", _duration(node.began, node.ended), "", "", _joined(node, notes)
    )


def _chat(node: ChatNode, branch: str) -> Line:
    input_tokens, output_tokens = node.tokens()
    notes = [f"error {node.error_type}"] if node.error_type else []
    notes += [f"{len(node.attempts)} attempts"] if len(node.attempts) > 1 else _notes(node, node.attempts[0])
    return Line(
        f"{branch}chat {node.model}",
        _duration(node.began, node.ended),
        f"{tokens(input_tokens)} / {tokens(output_tokens)}",
        usd(node.cost),
        _joined(node, notes),
    )


def _attempt(node: ChatNode, attempt: AttemptNode, branch: str) -> Line:
    notes = [f"error {attempt.error_type}"] if attempt.error_type else []
    return Line(
        f"{branch}attempt {attempt.number}",
        _duration(attempt.began, attempt.ended),
        f"{tokens(attempt.input_tokens)} / {tokens(attempt.output_tokens)}",
        usd(attempt.cost),
        ", ".join([*notes, *_notes(node, attempt)]),
    )


def _notes(node: ChatNode, attempt: AttemptNode) -> list[str]:
    """What is unusual about an attempt."""
    notes = {
        "release": ["not billed"],
        "expiry": ["its process died: charged at its bound"],
        "open": ["not settled yet: its bound is held"],
    }.get(attempt.kind, [])
    if attempt.corrected:
        notes = ["corrected after its process had been declared dead"]
    elif attempt.kind == "attempt" and attempt.quality != "measured":
        notes = [f"usage {attempt.quality}: charged at its bound"]
    if attempt.response_model not in (None, node.model):
        notes = [*notes, f"answered as {attempt.response_model}"]
    return notes


def _joined(node: Node, notes: list[str]) -> str:
    return ", ".join([*notes, f"epoch {node.epoch}"] if node.epoch > 1 else notes)


def _closing(turn: TurnTree) -> str:
    parts = [f"prompt {turn.prompt_name}@{turn.prompt_version}", moment(turn.began), f"trace {turn.trace_id or '?'}"]
    if turn.erased:
        parts.append("content erased")
    if turn.epoch > 1:
        parts.append(f"taken over, now at epoch {turn.epoch}")
    lines = [" · ".join(parts)]
    if len(turn.processes) > 1:
        lines += [f"epoch {each.epoch}: process {each.worker} on {each.host}" for each in turn.processes]
    return safe("\n".join(lines))


def _duration(began: int, ended: int | None) -> str:
    return seconds(None if ended is None else ended - began)
