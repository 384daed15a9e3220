"""`agent trace`: any turn's tree, from the journal and the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import documents, tree
from agent.cli.common import AsJson, books, common
from agent.cli.failures import Mistyped, told
from agent.cli.terminal import out

EXAMPLES = """\
[bold]Examples[/bold]
  agent trace 01a21047-888d-7703-8548-63308735504c
  agent trace 01a21047-888d      enough of a turn's id to be the only one
  agent trace 8bb15662134137f5cdae1983d9765b86 --json | jq .cost.usd

[bold]JSON[/bold]
  turn_id conversation_id trace_id agent prompt {name version} state outcome
  began ended seconds epoch erased processes [{epoch worker host}]
  usage {input_tokens output_tokens} cost {nano_usd usd}
  spans [{operation step epoch began seconds error_type}], with tool state for
  execute_tool, and for chat: provider model usage cost attempts [{number kind
  began seconds response_model usage quality cost error_type corrected}];
  or error {kind message exit_code problems}\
"""

ACCEPTED = (
    "what is wanted is a turn's id or enough of its beginning, a trace id, or a conversation's id (its last turn)"
)


def trace(
    context: typer.Context,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A turn's id or enough of its beginning, a trace id, or a conversation's id."
        ),
    ],
    as_json: AsJson = False,
) -> int:
    """Show what happened in a turn: every call and tool, with time, tokens and cost.

    Read from the store: no telemetry back end is needed, and it may still be running, or be erased.
    """

    def work() -> int:
        from agent import trace_tree

        with books(common(context)) as tx:
            try:
                turn = trace_tree.read(tx, trace_tree.find(tx, wanted))
            except trace_tree.NoSuchTurn as unknown:
                raise Mistyped(f"{unknown}; {ACCEPTED}") from unknown
        if as_json:
            documents.write(documents.tree(turn))
        else:
            tree.show(out(), turn)
        return 0

    return told(as_json, work)
