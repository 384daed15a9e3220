"""A worker's life: it serves on sockets that its supervisor has opened, and ends without losing a turn."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from agent.config.chains import chain
from agent.service.app import build
from agent.service.auth import Doorkeeper
from agent.service.http import Door, listening
from agent.service.keys import Keys
from agent.service.options import load_options
from agent.service.places import Places
from agent.service.plan import Plan
from agent.service.process import REPLACED
from agent.service.service import Service
from telemetry.scrape import serve_metrics_on

if TYPE_CHECKING:
    from agent.app import App

log = logging.getLogger(__name__)

DECLARED_DEAD = 3
"""The exit code of a worker whose lease had run out."""

_LOOK = 0.2


async def serve(plan: Plan, app: App, asked_to_end: Callable[[], bool]) -> int:
    """Until a signal asks for the end (`asked_to_end`, once this task is cancelled), the supervisor has gone, or this
    process was declared dead; its exit code. Says to the supervisor how many seconds its turns get at the end."""
    asyncio.get_running_loop().add_reader(plan.life_fd, _orphaned, plan.life_fd)
    options, keys = load_options(app.settings.config), Keys(app.settings.config)
    doorkeeper = Doorkeeper(keys, open_door=plan.loopback)
    service = Service(app, options, doorkeeper, Places(options.turns, options.waiting))
    api = build(service, has_keys=bool(keys))
    _label(app)
    async with _scraped(plan, app), listening(api, socket.socket(fileno=plan.socket_fd)) as door:
        asyncio.get_running_loop().add_signal_handler(REPLACED, _replaced, door)
        os.write(plan.ready_fd, f"{options.drain_seconds}\n".encode())
        os.close(plan.ready_fd)
        await _until_the_end(app, asked_to_end)
        await _drain(service)
    return DECLARED_DEAD if app.declared_dead.is_set() else 0


def _label(app: App) -> None:
    """So that nobody takes the stand-in for a model: its answers look like one's."""
    if not app.stand_in:
        return
    for name, agent in app.config.agents.agents.items():
        if chain(app.config.models, agent, app.settings.env) == (app.config.models.stand_in,):
            first = agent.models[0]
            key = app.config.models.models[first].api_key_env
            instead = f"; set {key} to ask {first}" if key else ""
            log.warning("agent %s: the offline stand-in answers, not a real model%s", name, instead)


def _orphaned(life_fd: int) -> None:
    """The supervisor has gone: nobody would start this worker again, or end it."""
    asyncio.get_running_loop().remove_reader(life_fd)
    log.error("the supervisor has gone: this worker ends")
    signal.raise_signal(signal.SIGTERM)


def _replaced(door: Door) -> None:
    """Another worker takes what comes from now on: nobody is to hear of this one's end."""
    door.close()
    signal.raise_signal(signal.SIGTERM)


async def _until_the_end(app: App, asked_to_end: Callable[[], bool]) -> None:
    """Returns when a signal asks for it, or when this process was declared dead."""
    try:
        await app.declared_dead.wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or not asked_to_end():
            raise
        task.uncancel()


async def _drain(service: Service) -> None:
    """No new turns; those under way get their time, and what is left then goes on in another process."""
    service.draining = True
    places, seconds = service.places, service.options.drain_seconds
    log.info("ending: %d turns under way get %g s", places.taken, seconds)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await places.all_free()
    if places.taken:
        log.warning("ending: %d turns go on in another process", places.taken)
    await service.app.hand_back()


@contextlib.asynccontextmanager
async def _scraped(plan: Plan, app: App) -> AsyncIterator[None]:
    task = asyncio.create_task(_serve_metrics(plan, app))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _serve_metrics(plan: Plan, app: App) -> None:
    """From when the one before has ended on, until cancelled."""
    while not _locked(plan.scraped_fd):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK)  # to be told, a thread would have to be held until then
    server = serve_metrics_on(app.services.telemetry.registry, socket.socket(fileno=plan.metrics_fd))
    try:
        await asyncio.Event().wait()
    finally:
        server.close()


def _locked(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
