"""What `agent check` says of `service.yaml` and `keys.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from agent.config.problems import ConfigError, Problem
from agent.service import keys
from agent.service.options import load_options


def problems(folder: Path, agents: Collection[str]) -> Iterator[Problem]:
    """`agents`: the names of those that there are, none where they can't be read."""
    try:
        load_options(folder)
    except ConfigError as error:
        yield from error.problems
    try:
        found = keys.read(folder)
    except ConfigError as error:
        yield from error.problems
        return
    for place, key in enumerate(found.value.keys if found and agents else ()):
        for number, agent in enumerate(key.agents):
            if found and agent not in agents:
                path = ("keys", place, "agents", number)
                yield found.document.problem(path, "an agent of agents.yaml", agent)
