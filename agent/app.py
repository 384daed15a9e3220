"""The composition root: from `config/` and the environment to running agents.

async with App.open(settings) as app:
    result = await app.ask("My laptop will not connect to wifi.", emit=show)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from agent import __version__, assemble
from agent.config.load import Config, load_config
from agent.conversing import Conversing
from agent.journal import Journal, NotBegun
from agent.opening import Asked, begin, declined, opening
from agent.pulse import Pulse
from agent.resuming import Resuming
from agent.running import run_turn
from agent.runtime import Agent, Services
from agent.settings import Settings
from agent.store.store import Store
from agent.store.work import Fence
from agent.turn import Turn
from agent.types import Caller, Emit, Event, TurnResult
from agent.under_way import UnderWay
from agent.watch import watch
from telemetry import exporters

OPENINGS = 3
"""How often a conversation may have gone on between being read and being taken."""

LOCAL = Caller()
"""Whoever sits at this machine."""


async def discard(event: Event) -> None:
    """For those who don't watch a turn."""


class App:
    """Running agents. Made by `App.open`."""

    def __init__(
        self, settings: Settings, config: Config, services: Services, agents: Mapping[str, Agent], stand_in: bool
    ) -> None:
        self.settings = settings
        self.config = config
        self.services = services
        self.agents = agents
        self.stand_in = stand_in
        self._under_way = UnderWay(services.pulse)
        self.declared_dead = self._under_way.dead
        self._resuming = Resuming(services, agents, self._under_way)

    @staticmethod
    @contextlib.asynccontextmanager
    async def open(settings: Settings, *, stand_in_pace: float = 0.0, take_over: bool = False) -> AsyncIterator[App]:
        """Starts everything in its order and ends it in the opposite one. `take_over`: go on with the turns of
        processes that died. `stand_in_pace`: seconds between two pieces of the stand-in's text.

        Raises ConfigError, StoreError and what the parts raise for what an operator can get wrong.
        """
        config = load_config(settings.config)
        registries = assemble.tools(config)
        async with contextlib.AsyncExitStack() as stack:
            offline_url = await assemble.offline(config, settings.env, stack, stand_in_pace)
            available = assemble.targets(config, settings.env, offline_url)
            for target in available.values():
                stack.push_async_callback(target.model.close)
            store = Store(settings.store, settings.lease, settings.synchronous)
            stack.push_async_callback(store.close)
            telemetry = exporters.setup(
                settings.env, version=__version__, known=assemble.known(config, registries.values(), settings.env)
            )
            stack.callback(telemetry.shutdown)
            pulse = Pulse(store, telemetry.metrics)
            services = Services(store, pulse, telemetry, assemble.limits(config))
            agents = assemble.agents(config, services, available, registries, settings.env)
            app = App(settings, config, services, agents, offline_url is not None)
            watch(telemetry.metrics, config, store, pulse)
            pulse.start(on_queued=app._resuming.soon if take_over else None, on_dead=app._under_way.declared_dead)
            stack.push_async_callback(pulse.stop)
            stack.push_async_callback(app.hand_back)
            yield app

    async def ask(
        self,
        text: str,
        *,
        agent: str | None = None,
        caller: Caller = LOCAL,
        conversation: str | None = None,
        stream: bool = True,
        emit: Emit = discard,
        traceparent: str | None = None,
    ) -> TurnResult:
        """One turn. Raises `CallerError` where it can't begin, `TakenOver`, `StoreError`."""
        asked = Asked(text, caller, conversation)
        return await self.run(asked, agent=agent, stream=stream, emit=emit, traceparent=traceparent)

    async def run(
        self,
        asked: Asked,
        *,
        agent: str | None = None,
        stream: bool = True,
        emit: Emit = discard,
        traceparent: str | None = None,
        so_far: Conversing | None = None,
    ) -> TurnResult:
        """One turn, like `ask`, with all that a caller may want of it. `so_far` tells meanwhile how far it is."""
        who = self.agents[agent or self.config.agents.default]
        for _ in range(OPENINGS):
            turn = await opening(self.config, who, self.services.store, asked)
            try:
                return await self._run(who, turn, asked, so_far or Conversing(stream), emit, traceparent)
            except NotBegun as not_begun:
                why = not_begun
            if why.conflict != "moved":
                break
        raise declined(asked, why)

    async def _run(
        self, agent: Agent, turn: Turn, asked: Asked, so_far: Conversing, emit: Emit, traceparent: str | None
    ) -> TurnResult:
        def journal(own_traceparent: str) -> Journal:
            return Journal(self.services.store, Fence(turn.id, turn.epoch), begin(turn, asked, own_traceparent))

        running = run_turn(agent, turn, journal, emit, so_far=so_far, traceparent=traceparent)
        with self._under_way.has_a_task(turn.id):
            return await self._under_way.run(running, so_far)

    async def resume(self, emit: Emit = discard) -> list[TurnResult]:
        """Goes on with every queued turn that this process can run; what they came to."""
        return await self._resuming.resume(emit)

    @property
    def leaving(self) -> bool:
        """This process ends, or was declared dead: it begins no more turns."""
        return self._under_way.leaving

    async def hand_back(self) -> None:
        """Stops what runs without ending it: once this process has left, another one may go on with it."""
        await self._under_way.hand_back()
        await self._resuming.stop()
