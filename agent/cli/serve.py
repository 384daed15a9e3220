"""`agent serve`: the agents as models behind the OpenAI API."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import common
from agent.cli.failures import CannotStart, told
from agent.cli.terminal import note

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
[bold]Examples[/bold]
  agent serve
  agent serve --workers 4 --port 8000
  curl localhost:8080/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "helpdesk", "messages": [{"role": "user", "content": "The VPN drops"}]}'

Any client of the OpenAI API is a front end: its base URL is http://HOST:PORT/v1,
its model an agent's name. Beyond loopback everybody needs a key: agent keys new.

Ctrl-C or SIGTERM let turns under way end (service.yaml: drain_seconds), a second
one does not; SIGHUP replaces the workers one by one, with the configuration as it
is then.\
"""


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Where to listen; beyond loopback only with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8080,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes; a dead one is replaced.")] = 1,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=0, max=65535, help="/metrics of the first worker, +1 for each more.")
    ] = 9464,
    targets: Annotated[
        Path, typer.Option("--metrics-targets", metavar="FILE", help="Written for Prometheus' file_sd_configs.")
    ] = Path(".agent/metrics-targets.json"),
) -> int:
    """Serve the agents to any client of the OpenAI API."""

    def work() -> int:
        from agent.service.plan import Plan
        from agent.service.supervisor import CannotServe, Supervisor
        from agent.service.targets import write_targets

        settings = common(context).settings()
        folder, level = str(settings.config), common(context).log_level
        loopback = _loopback(host, settings.config)
        listener = _bound(host, port, "--port")
        scraped = [_bound("127.0.0.1", metrics_port and metrics_port + n, "--metrics-port") for n in range(workers)]

        def plan(*descriptors: int) -> Plan:
            return Plan(folder, level, loopback, *descriptors)

        def announce() -> None:
            try:
                write_targets(targets, [_port(each) for each in scraped])
            except OSError as error:
                raise CannotStart(f"--metrics-targets {targets}: {error.strerror}") from error
            _announce(host, listener, scraped, targets)

        try:
            return Supervisor(listener, scraped, plan).run(announce)
        except CannotServe as error:
            raise CannotStart("the service could not start; see above") from error

    return told(False, work)


def _loopback(host: str, folder: Path) -> bool:
    """Raises `CannotStart` where strangers could ask without a key."""
    from agent.service import keys
    from agent.service.addresses import is_loopback

    if is_loopback(host):
        return True
    if not keys.load(folder).keys:
        raise CannotStart(f"--host {host} is reached from other machines: make a key first (agent keys new NAME)")
    return False


def _bound(host: str, port: int, option: str) -> socket.socket:
    """A listening socket, so that a port that is taken is told at once, and workers share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or "").partition(" (while ")[0]  # `create_server` adds the address to it
        raise CannotStart(f"{option} {port}: {host}: {reason}") from error
    except OverflowError:
        raise CannotStart(f"{option}: there is no port {port}") from None


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def _announce(host: str, listener: socket.socket, scraped: Sequence[socket.socket], targets: Path) -> None:
    shown = f"[{host}]" if ":" in host else host
    ports = ", ".join(str(_port(each)) for each in scraped)
    note(f"serving at http://{shown}:{_port(listener)}/v1 with {len(scraped)} worker(s); Ctrl-C ends it")
    note(f"metrics at 127.0.0.1, port {ports}; for Prometheus' file_sd_configs: {targets}")
