"""`agent chat`: a conversation, turn after turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agent.cli import documents, trailer
from agent.cli.budgets import standings
from agent.cli.common import AgentName, AsJson, ConversationId, MetricsPort, NoStream, User, common, named_agent, opened
from agent.cli.cut_short import cut_short
from agent.cli.failures import told
from agent.cli.run import Signals, run
from agent.cli.terminal import note, out
from agent.cli.watching import Watching

if TYPE_CHECKING:
    from agent.app import App
    from agent.cli.lines import Lines
    from agent.types import Caller, Json, TurnResult

EXAMPLES = """\
[bold]Examples[/bold]
  agent chat
  agent chat --conversation 01a2…
  printf 'My printer jams\\nIt is U-456 asking\\n' | agent chat --json

Ctrl-C ends the turn under way, or else the chat; so do /quit and Ctrl-D.
Turns that dead processes left are gone on with meanwhile. Where lines are piped
in, the exit code is 1 if one of them was not answered.

[bold]JSON[/bold]
  conversation_id turns, a list of what agent ask gives;
  or error {kind message exit_code problems}, beside them after a signal\
"""
QUIT = "/quit"


def chat(
    context: typer.Context,
    agent: AgentName = None,
    conversation: ConversationId = None,
    user: User = None,
    no_stream: NoStream = False,
    metrics_port: MetricsPort = None,
    as_json: AsJson = False,
) -> int:
    """Talk with an agent, turn after turn.

    The conversation is kept: go on with it whenever you like, also from another process.
    """

    async def work(signals: Signals) -> int:
        from agent.cli.lines import Lines
        from agent.types import Caller

        settings = common(context).settings()
        with Lines() as lines:
            async with opened(settings, metrics_port=metrics_port, take_over=True) as app:
                talk = Chat(app, named_agent(app, agent), Caller(user=user), conversation, not no_stream, as_json)
                await talk.begin()
                await talk.run(lines, signals)
                await talk.end()
        return 0 if lines.typed or all(result.outcome == "answered" for result in talk.ended) else 1

    return told(as_json, lambda: run(work))


class Chat:
    def __init__(
        self, app: App, agent: str | None, caller: Caller, conversation: str | None, stream: bool, as_json: bool
    ) -> None:
        self.app = app
        self.agent = agent
        self.caller = caller
        self.conversation = conversation
        self.stream = stream
        self.as_json = as_json
        self.ended: list[TurnResult] = []
        self.labelled = as_json

    async def begin(self) -> None:
        """Raises `CallerError` where the conversation can't be gone on with: nobody should write a question first."""
        from agent.opening import earlier

        agent = self.agent or self.app.config.agents.default
        if self.conversation is not None:
            await earlier(self.app.agents[agent], self.app.services.store, self.conversation, self.caller)
        if self.app.stand_in:
            self._label(agent)

    def _label(self, agent: str) -> None:
        if not self.labelled:
            self.labelled = True
            trailer.label(out(), self.app, agent)

    async def run(self, lines: Lines, signals: Signals) -> None:
        """Until the input ends. Ctrl-C while a turn runs ends that turn only."""
        from asyncio import CancelledError

        from agent.opening import ConversationBusy

        try:
            while (line := await lines.next()) is not None and line.strip() != QUIT:
                if not line.strip():
                    continue
                try:
                    await self._turn(line)
                except CancelledError:
                    await self._cut_short()
                    if not signals.forgive():
                        raise
                except ConversationBusy as busy:
                    if not lines.typed:
                        raise
                    note(f"{busy}; your line was not sent: ↑ brings it back")
        except CancelledError:
            await self._stopped(signals)
            raise

    async def _turn(self, text: str) -> None:
        from agent.app import discard

        watching = None if self.as_json else Watching()
        result = await self.app.ask(
            text,
            agent=self.agent,
            caller=self.caller,
            conversation=self.conversation,
            stream=self.stream,
            emit=watching or discard,
        )
        self._ended(result)
        if watching:
            watching.end(result)
            note(trailer.brief(result))
            if result.stand_in:  # wherever it was reached: its first answer tells
                self._label(result.agent)

    async def _cut_short(self) -> None:
        """The turn that a signal has ended, among the others."""
        result = await cut_short(self.app, [result.turn_id for result in self.ended])
        if result is not None:
            self._ended(result)
        if not self.as_json:
            note(f"\n{trailer.brief(result) if result else 'cancelled'}")

    def _ended(self, result: TurnResult) -> None:
        self.conversation = result.conversation_id
        self.ended.append(result)

    async def _stopped(self, signals: Signals) -> None:
        if self.as_json:
            signals.so_far = await self._document()
        else:
            note("")
            await self.end()

    async def _document(self) -> dict[str, Json]:
        turns: list[Json] = [
            documents.result(result, await standings(self.app, result), trailer.stand_in(self.app, result))
            for result in self.ended
        ]
        return {"conversation_id": self.conversation, "turns": turns}

    async def end(self) -> None:
        if self.as_json:
            documents.write(await self._document())
            return
        console = out()
        if self.ended:
            console.print()
            trailer.show(console, self.app, self.ended[-1], await standings(self.app, self.ended[-1]))
        if self.conversation:
            console.print(f"Go on with: agent chat --conversation {self.conversation}", soft_wrap=True)
