"""What may be written in `service.yaml` and `keys.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agent.config.shapes import Name, Strict

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
HeaderName = Annotated[str, Field(pattern=r"^x-[a-z0-9-]{1,60}$")]


class ServiceFile(Strict):
    """`service.yaml`: the limits of one worker process. Sizes in bytes, times in seconds.

    `turns` run at once and `waiting` more wait for a moment; `drain_seconds` is what turns under way get to end when
    the worker is asked to.
    """

    turns: int = Field(1000, ge=1, le=100_000)
    waiting: int = Field(200, ge=0, le=100_000)
    body_bytes: int = Field(1_048_576, ge=1024, le=1_073_741_824)
    drain_seconds: float = Field(30.0, ge=0, le=3600)


class KeyConfig(Strict):
    """One key: the SHA-256 of it, who its holder is, and what he may. `agents`: all where none is named.

    `user_header` is a request header in which this holder says on whose behalf it asks; it is believed.
    """

    name: Name
    sha256: Digest
    tenant: Name
    agents: tuple[Name, ...] = ()
    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    concurrency: int | None = Field(None, ge=1, le=100_000)
    user_header: HeaderName | None = None


class KeysFile(Strict):
    """`keys.yaml`: who may ask."""

    keys: tuple[KeyConfig, ...] = ()
