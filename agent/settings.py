"""What a process is told by its environment and command line, beside `config/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit

from agent.config import ConfigError, Problem
from agent.store.sqlite import MEMORY, Synchronous
from agent.store.store import Lease

STORE = "AGENT_STORE"
DEFAULT_LEASE = Lease()
DEFAULT_STORE = "sqlite:///.agent/store.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """`store` is a path or `:memory:`. `env` is where keys, `OPENAI_*` and `OTEL_*` are read from."""

    config: Path
    env: Mapping[str, str] = field(repr=False)
    store: str = MEMORY
    synchronous: Synchronous = "FULL"
    lease: Lease = DEFAULT_LEASE


def from_env(config: Path, env: Mapping[str, str]) -> Settings:
    """`AGENT_STORE`: `sqlite:///relative/path`, `sqlite:////absolute/path` or `sqlite://` (in memory), with
    `?synchronous=NORMAL` and `?lease=SECONDS` as options. Raises ConfigError."""
    url = env.get(STORE) or DEFAULT_STORE
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme != "sqlite" or parts.netloc:
        found = f"{parts.scheme}:…" if parts.scheme else "a path"
        raise _problem(found, "sqlite:///PATH, with ?synchronous= and ?lease= as options")
    if unknown := options.keys() - {"synchronous", "lease"}:
        raise _problem(f"the option {', '.join(sorted(unknown))}", "synchronous or lease")
    return Settings(config, env, _store(parts.path), _synchronous(options), _lease(options))


def _store(path: str) -> str:
    """What is behind `sqlite://`; with a slash and nothing after it, SQLite would take a file that it removes."""
    if not path:
        return MEMORY
    if not path[1:] or Path(path[1:]).is_dir():
        raise _problem(f"no file (sqlite://{path})", "sqlite:///PATH of a file, or sqlite:// for one in memory")
    return path[1:]


def _synchronous(options: Mapping[str, str]) -> Synchronous:
    said = options.get("synchronous", "FULL")
    for known in get_args(Synchronous):
        if said == known:
            return known  # type: ignore[no-any-return]
    raise _problem(f"synchronous={said}", "FULL or NORMAL")


def _lease(options: Mapping[str, str]) -> Lease:
    said = options.get("lease", "15")
    try:
        length = float(said)
    except ValueError:
        length = 0.0
    if not 2 <= length <= 300:
        raise _problem(f"lease={said}", "seconds from 2 to 300; below 6, a slow disk is taken for a dead process")
    return Lease(length, length / 3, min(1.0, length / 6))


def _problem(found: str, expected: str) -> ConfigError:
    return ConfigError((Problem("environment", None, None, STORE, found, expected),))
