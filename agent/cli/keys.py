"""`agent keys`: who may ask the service."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.common import common
from agent.cli.failures import Mistyped, told
from agent.cli.terminal import note, out

EXAMPLES = """\
[bold]Examples[/bold]
  agent keys new intranet --tenant acme
  agent keys new intranet --tenant acme >> config/keys.yaml

The key itself is shown once, on stderr, and kept nowhere; keys.yaml has its
SHA-256. Workers read a changed keys.yaml within a second.\
"""

app = typer.Typer(name="keys", help="Keys of those who may ask the service.", no_args_is_help=True)


@app.command(epilog=EXAMPLES)
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: a service, a team.")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Who pays for what it asks.")] = "local",
) -> int:
    """Make a key; the entry for config/keys.yaml goes to stdout."""

    def work() -> int:
        from pydantic import ValidationError

        from agent.service import keys

        known = keys.load(common(context).folder()).keys
        if any(key.name == name for key in known):
            raise Mistyped(f"there is a key {name} in {keys.FILE} already")
        key, digest = keys.new_key()
        try:
            entry = keys.entry(name, tenant, digest)
        except ValidationError:
            raise Mistyped("NAME and --tenant are names: a-z, 0-9, `.`, `_`, `-`; at most 64 characters") from None
        if not known:
            entry = "keys:\n" + entry
        out().print(entry, end="", markup=False, highlight=False, soft_wrap=True)
        note(f"the key, shown this once: {key}")
        return 0

    return told(False, work)
