"""`agent conversations`: what was said, listed, shown, erased."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import documents
from agent.cli.common import AsJson, books, common
from agent.cli.failures import Mistyped, told
from agent.cli.run import run
from agent.cli.terminal import moment, out, safe, show_table

if TYPE_CHECKING:
    from agent.settings import Settings
    from agent.store.conversations import Conversation, PastTurn
    from agent.store.tx import Tx
    from agent.types import Json, Message

EXAMPLES = """\
[bold]Examples[/bold]
  agent conversations list --limit 5
  agent conversations show 01a21047-888d-7703-8548-63315602203d
  agent conversations delete 01a21047-888d-7703-8548-63315602203d --yes\
"""
LIST = """\
[bold]JSON[/bold]
  conversations [{conversation_id agent user prompt {name version} turns
  created updated erased}];
  or error {kind message exit_code problems}\
"""
SHOW = """\
[bold]JSON[/bold]
  as one of the list, but turns [{turn_id state outcome began
  messages [{role content tool_calls tool_call_id}]}];
  or error {kind message exit_code problems}\
"""
DELETE = """\
[bold]JSON[/bold]
  conversation_id erased;
  or error {kind message exit_code problems}\
"""

app = typer.Typer(
    name="conversations",
    help="List, show and erase conversations.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)
Id = Annotated[str, typer.Argument(metavar="ID", help="The conversation's id.")]


@app.command("list", epilog=LIST)
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the last used first.")] = 20,
    as_json: AsJson = False,
) -> int:
    """List conversations, the last used first."""

    def work() -> int:
        from agent.store import conversations
        from agent.store.errors import NoStore

        try:
            with books(common(context)) as tx:
                found = conversations.newest(tx, limit)
        except NoStore:
            found = []
        if as_json:
            documents.write({"conversations": [_document(each) for each in found]})
        else:
            _show_list(found)
        return 0

    return told(as_json, work)


@app.command("show", epilog=SHOW)
def show(context: typer.Context, wanted: Id, as_json: AsJson = False) -> int:
    """Show what was said in a conversation."""

    def work() -> int:
        from agent.store import conversations

        with books(common(context)) as tx:
            found = _found(tx, wanted)
            turns = conversations.turns_of(tx, found.id)
        if as_json:
            documents.write({**_document(found), "turns": [_turn(turn) for turn in turns]})
        else:
            _show_turns(found, turns)
        return 0

    return told(as_json, work)


@app.command("delete", epilog=DELETE)
def delete(
    context: typer.Context,
    wanted: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> int:
    """Erase what was said in a conversation; ids, times and the ledger stay.

    What a collector or a log has received before is not in this program's hands.
    """

    def work() -> int:

        settings = common(context).settings()
        with books(common(context)) as tx:
            turns = _found(tx, wanted).turns
        if not (yes or _agreed(wanted, turns)):
            return 1
        run(lambda _: _erase(settings, wanted))
        if as_json:
            documents.write({"conversation_id": wanted, "erased": True})
        else:
            out().print(f"Erased {wanted}; its turns stay in the books without their content.", soft_wrap=True)
        return 0

    return told(as_json, work)


def _agreed(wanted: str, turns: int) -> bool:
    """Raises `Mistyped` where there is nobody to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Mistyped("erasing can't be undone: say --yes where nobody can be asked")
    return typer.confirm(f"Erase {turns} turn(s) of conversation {wanted} for good?")


async def _erase(settings: Settings, wanted: str) -> int:
    from agent.store import conversations
    from agent.store.store import Store

    def erase(tx: Tx) -> None:
        found = _found(tx, wanted)
        if any(turn.state != "done" for turn in conversations.turns_of(tx, found.id)):
            raise Mistyped(f"a turn is open in {wanted}: let it end, or end it by `agent resume`")
        conversations.erase(tx, found.id)

    store = Store(settings.store, settings.lease, settings.synchronous)
    try:
        store.erase(erase)
    finally:
        await store.close()
    return 0


def _found(tx: Tx, wanted: str) -> Conversation:
    from agent.store import conversations

    found = conversations.read(tx, wanted)
    if found is None:
        from agent.opening import NoSuchConversation

        raise NoSuchConversation(f"no conversation {wanted}")
    return found


def _document(found: Conversation) -> dict[str, Json]:
    return {
        "conversation_id": found.id,
        "agent": found.agent,
        "user": found.user,
        "prompt": {"name": found.prompt_name, "version": found.prompt_version},
        "turns": found.turns,
        "created": documents.moment(found.created_at),
        "updated": documents.moment(found.updated_at),
        "erased": documents.moment(found.erased_at),
    }


def _turn(turn: PastTurn) -> Json:
    return {
        "turn_id": turn.id,
        "state": turn.state,
        "outcome": turn.outcome,
        "began": documents.moment(turn.begun_at),
        "messages": [_message(message) for message in _messages(turn)],
    }


def _message(message: Message) -> Json:
    return {
        "role": message.role,
        "content": message.content,
        "tool_calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls],
        "tool_call_id": message.tool_call_id,
    }


def _messages(turn: PastTurn) -> Sequence[Message]:
    from agent import journal
    from agent.store import steps
    from agent.turn import exchange

    return () if turn.input is None else exchange(turn.input, journal.read(turn.journal, steps.COLUMNS))


def _show_list(found: Sequence[Conversation]) -> None:
    from rich.table import Table

    if not found:
        out().print("No conversations yet.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("conversation", "last used", "agent", "user", "prompt", "turns", ""):
        table.add_column(name, no_wrap=name in ("conversation", "last used"), overflow="fold")
    for each in found:
        prompt = f"{each.prompt_name}@{each.prompt_version}"
        erased = "erased" if each.erased_at else ""
        user = safe(each.user or "")
        table.add_row(each.id, moment(each.updated_at), each.agent, user, prompt, str(each.turns), erased)
    show_table(out(), table)


def _show_turns(found: Conversation, turns: Sequence[PastTurn]) -> None:
    console = out()
    for turn in turns:
        console.print(f"{moment(turn.begun_at)}  turn {turn.id}  {turn.outcome or turn.state}", style="dim")
        for message in _messages(turn):
            if message.role == "tool":
                call_id = safe(message.tool_call_id or "")[:64]
                console.print(f"  result of {call_id}: {len(message.content):,} characters", style="dim")
                continue
            if message.content:
                console.print(f"{'you> ' if message.role == 'user' else ''}{safe(message.content)}", soft_wrap=True)
            for call in message.tool_calls:
                console.print(f"  {safe(call.name)} {safe(call.arguments)}", style="dim", soft_wrap=True)
    if found.erased_at:
        console.print(f"Erased {moment(found.erased_at)}.")
