"""Going on with the turns of processes that died or gave them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from agent import takeover
from agent.conversing import Conversing
from agent.journal import Journal, TakenOver
from agent.running import run_turn
from agent.runtime import Agent, Services
from agent.store import turns
from agent.store.errors import StoreError
from agent.store.work import Fence, Finish, Work
from agent.types import Emit, TurnResult
from agent.under_way import UnderWay

log = logging.getLogger(__name__)

AT_ONCE = 64
"""How many turns a process goes on with at a time."""

TAKEOVERS = 5
"""How often in a row a turn is taken over before it is given up: whoever ran it died or failed."""


class Resuming:
    def __init__(self, services: Services, agents: Mapping[str, Agent], under_way: UnderWay) -> None:
        self._services = services
        self._agents = agents
        self._under_way = under_way
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._foreign: set[str] = set()

    async def resume(self, emit: Emit) -> list[TurnResult]:
        """Goes on with every queued turn that nobody here is at yet; what they came to, in the queue's order."""
        waiting = await self._services.store.read(lambda tx: turns.queued(tx, tx.now()))
        ended = await asyncio.gather(*(self._one(turn_id, emit) for turn_id in waiting), return_exceptions=True)
        for each in ended:  # once all have ended
            if isinstance(each, BaseException):
                raise each
        return [each for each in ended if isinstance(each, TurnResult)]

    def soon(self) -> None:
        """The same in the background."""
        if not self._under_way.leaving:
            task = asyncio.get_running_loop().create_task(self._quietly())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _quietly(self) -> None:
        async def discard(_: object) -> None: ...

        try:
            await self.resume(discard)
        except StoreError as error:
            log.warning("turns of dead processes wait: %s", error)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _one(self, turn_id: str, emit: Emit) -> TurnResult | None:
        """One that can't be run must not keep the others waiting; it is tried `TAKEOVERS` times."""
        if turn_id in self._under_way:
            return None
        with self._under_way.has_a_task(turn_id):
            async with self._places:
                try:
                    return None if self._under_way.leaving else await self._take_over(turn_id, emit)
                except TakenOver:
                    return None
                except StoreError:
                    raise
                except Exception:  # the edge: whatever is wrong with this turn, the others are to go on
                    log.exception("turn %s could not be taken over", turn_id)
                    return None

    async def _take_over(self, turn_id: str, emit: Emit) -> TurnResult | None:
        store = self._services.store
        waiting = await takeover.look(store, turn_id)
        agent = self._agents.get(waiting.agent)
        if waiting.failures > TAKEOVERS:
            await self._give_up(turn_id)
            return None
        if agent is None or waiting.prompt_digest not in agent.prompts:
            self._leave(turn_id, waiting)
            return None
        epoch = await store.claim(turn_id)
        if epoch is None:
            return None
        taken = await takeover.restore(store, agent, turn_id, epoch)
        so_far = Conversing(stream=False)
        running = run_turn(
            agent,
            taken.turn,
            lambda _: Journal(store, Fence(turn_id, epoch), written=taken.journaled),
            emit,
            so_far=so_far,
            traceparent=taken.traceparent,
            before=taken.before,
        )
        return await self._under_way.run(running, so_far)

    def _leave(self, turn_id: str, waiting: takeover.Waiting) -> None:
        """To a process that has the turn's agent and prompt version."""
        if turn_id not in self._foreign:
            self._foreign.add(turn_id)
            needs = (waiting.agent, waiting.prompt_digest[:12])
            log.warning("turn %s waits for another process: agent %s with prompt %s… is not here", turn_id, *needs)

    async def _give_up(self, turn_id: str) -> None:
        epoch = await self._services.store.claim(turn_id)
        if epoch is not None:
            reason = f"{TAKEOVERS} processes in a row that went on with it ended under it"
            await self._services.store.do(Work(Fence(turn_id, epoch), finish=Finish("resumed_unknown", None, reason)))
            log.warning("turn %s is given up: %s", turn_id, reason)
