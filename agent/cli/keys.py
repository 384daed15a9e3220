"""`agent keys`: who may ask the service."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.common import common
from agent.cli.failures import CannotStart, Mistyped, told
from agent.cli.terminal import note, out

EXAMPLES = """\
[bold]Examples[/bold]
  agent keys new intranet --tenant acme

The key goes to stdout, once, and is kept nowhere: config/keys.yaml gets its
SHA-256. Workers read a changed keys.yaml within a second.\
"""

app = typer.Typer(name="keys", help="Keys of those who may ask the service.", no_args_is_help=True)


@app.command(epilog=EXAMPLES)
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: a service, a team.")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Who pays for what it asks.")] = "local",
) -> int:
    """Make a key: shown this once, and entered in config/keys.yaml by its digest."""

    def work() -> int:
        from pydantic import ValidationError

        from agent.service import keys

        folder = common(context).folder()
        if any(key.name == name for key in keys.load(folder).keys):
            raise Mistyped(f"there is a key {name} in {keys.FILE} already")
        try:
            key = keys.enter_new(folder, name, tenant)
        except ValidationError:
            raise Mistyped("NAME and --tenant are names: a-z, 0-9, `.`, `_`, `-`; at most 64 characters") from None
        except OSError as error:
            raise CannotStart(f"{folder / keys.FILE}: {error.strerror}") from error
        out().print(key, markup=False, highlight=False, soft_wrap=True)
        note(f"this is the key, shown this once; {folder / keys.FILE} has its digest")
        return 0

    return told(False, work)
