"""The composition root: from `config/` and the environment to running agents.

async with App.open(settings) as app:
    result = await app.ask("My laptop will not connect to wifi.", emit=show)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping

from agent import __version__, assemble, takeover
from agent.call import Conversing
from agent.config.load import Config, load_config
from agent.journal import Journal, NotBegun, TakenOver
from agent.opening import Asked, ConversationBusy, begin, opening
from agent.pulse import Pulse
from agent.running import run_turn
from agent.runtime import Agent, Services
from agent.settings import Settings
from agent.store import turns
from agent.store.errors import StoreError
from agent.store.store import Store
from agent.store.work import Fence, Finish, Work
from agent.turn import Turn
from agent.types import Caller, Emit, Event, TurnResult
from agent.watch import watch
from telemetry import exporters

log = logging.getLogger(__name__)

OPENINGS = 3
"""How often a conversation may have gone on between being read and being taken."""

TAKEOVERS = 5
"""How often a turn is taken over before it is given up: whoever ran it died or failed."""

LAST_EPOCH = 1 + 2 * TAKEOVERS
"""Reaping raises the epoch by one, claiming again."""

STOPPING = 5.0
"""Seconds that running turns get to stop when the program does."""

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
        self._resuming: asyncio.Task[None] | None = None
        self._running: list[tuple[asyncio.Task[object], Conversing]] = []
        self._idle = asyncio.Event()
        self._leaving = False
        self._dead = False

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
            pulse.start(on_queued=app.resume_soon if take_over else None, on_dead=app.declared_dead)
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
        if self._leaving:
            raise StoreError("this process was declared dead or is ending: it begins no more turns")
        who = self.agents[agent or self.config.agents.default]
        asked = Asked(text, caller, conversation)
        for _ in range(OPENINGS):
            turn = opening(self.config, who, self.services.store, asked)
            so_far = Conversing(stream)
            try:
                return await self._run(who, turn, so_far, emit, traceparent)
            except NotBegun as not_begun:
                if not_begun.conflict == "busy":
                    break
        raise ConversationBusy(f"another turn is open in conversation {conversation}; try again when it has ended")

    async def _run(
        self, agent: Agent, turn: Turn, so_far: Conversing, emit: Emit, traceparent: str | None
    ) -> TurnResult:
        def journal(own_traceparent: str) -> Journal:
            return Journal(self.services.store, Fence(turn.id, turn.epoch), begin(turn, own_traceparent))

        running = run_turn(agent, turn, journal, emit, so_far=so_far, traceparent=traceparent)
        with self._under_way(turn.id):
            return await self._tracked(running, so_far)

    async def resume(self, emit: Emit = discard) -> list[TurnResult]:
        """Goes on with every queued turn, one after the other; what they came to."""
        results = []
        store = self.services.store
        for turn_id in store.read(lambda tx: turns.queued(tx, tx.now())):
            if turn_id not in self.services.pulse.turns:
                results += await self._take_over_safely(turn_id, emit)
        return results

    async def _take_over_safely(self, turn_id: str, emit: Emit) -> list[TurnResult]:
        """One that can't be run must not keep the others waiting; it is tried `TAKEOVERS` times."""
        try:
            with self._under_way(turn_id):
                result = await self._take_over(turn_id, emit)
        except TakenOver:
            return []
        except StoreError:
            raise
        except Exception:  # the edge: whatever is wrong with this turn, the others are to go on
            log.exception("turn %s could not be taken over", turn_id)
            return []
        return [result] if result else []

    def resume_soon(self) -> None:
        """The same in the background."""
        if not self._leaving and (self._resuming is None or self._resuming.done()):
            self._resuming = asyncio.get_running_loop().create_task(self._resume_quietly())

    async def _resume_quietly(self) -> None:
        try:
            await self.resume()
        except StoreError as error:
            log.warning("turns of dead processes wait: %s", error)

    async def _take_over(self, turn_id: str, emit: Emit) -> TurnResult | None:
        store = self.services.store
        agent = self.agents.get(takeover.agent_of(store, turn_id))
        epoch = await store.claim(turn_id)
        if epoch is None:
            return None
        fence = Fence(turn_id, epoch)
        taken = agent and epoch <= LAST_EPOCH and takeover.restore(store, agent, turn_id, epoch)
        if agent is None or not taken or taken.turn.prompt.digest not in agent.prompts:
            await store.do(Work(fence, finish=Finish("resumed_unknown", None)))
            log.warning(
                "turn %s can't go on: its agent or prompt version is not configured here, or %d take-overs failed",
                turn_id,
                TAKEOVERS,
            )
            return None
        so_far = Conversing(stream=False)
        written = taken.journaled
        return await self._tracked(
            run_turn(
                agent,
                taken.turn,
                lambda _: Journal(store, fence, written=written),
                emit,
                so_far=so_far,
                traceparent=taken.traceparent,
                before=taken.before,
            ),
            so_far,
        )

    @contextlib.contextmanager
    def _under_way(self, turn_id: str) -> Iterator[None]:
        """The turn has a task here: the pulse leaves it to it."""
        self.services.pulse.turns.add(turn_id)
        try:
            yield
        finally:
            self.services.pulse.turns.discard(turn_id)

    async def _tracked(self, running: Coroutine[None, None, TurnResult], so_far: Conversing) -> TurnResult:
        """Runs a turn so that `declared_dead` and `hand_back` can reach it."""
        task = asyncio.current_task()
        assert task
        entry = (task, so_far)
        self._running.append(entry)
        try:
            return await running
        except asyncio.CancelledError:
            if not self._dead or task.uncancel():  # somebody else has cancelled it, too
                raise
            raise TakenOver from None
        finally:
            self._running.remove(entry)
            self._idle.set()

    def declared_dead(self) -> None:
        """This process's turns are another's now."""
        self._dead = True
        self._cancel()

    def _cancel(self) -> None:
        """Stops what runs without ending it, and begins nothing more."""
        self._leaving = True
        for task, so_far in self._running:
            so_far.handed_back = True
            task.cancel()

    async def hand_back(self) -> None:
        """Stops what runs without ending it: once this process has left, another one may go on with it."""
        self._cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOPPING):
                while self._running:  # what they have paid is booked before the store is closed
                    self._idle.clear()
                    await self._idle.wait()
        if self._resuming:
            self._resuming.cancel()
            await asyncio.wait([self._resuming])
