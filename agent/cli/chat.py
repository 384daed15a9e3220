"""`agent chat`: a conversation, turn after turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agent.cli import documents, trailer
from agent.cli.budgets import standings
from agent.cli.common import AgentName, AsJson, ConversationId, MetricsPort, NoStream, User, common, named_agent, opened
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
Turns that dead processes left are gone on with meanwhile.

[bold]JSON[/bold]
  conversation_id turns, a list of what agent ask gives;
  or error {kind message exit_code problems}\
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

        async with opened(common(context).settings(), metrics_port=metrics_port, take_over=True) as app:
            talk = Chat(app, named_agent(app, agent), Caller(user=user), conversation, not no_stream, as_json)
            talk.begin()
            with Lines() as lines:
                await talk.run(lines, signals)
            talk.end()
        return 0

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

    def begin(self) -> None:
        agent = self.agent or self.app.config.agents.default
        if not self.as_json and self.app.stand_in:
            trailer.label(out(), self.app, agent)

    async def run(self, lines: Lines, signals: Signals) -> None:
        """Until the input ends. Ctrl-C while a turn runs ends that turn only."""
        from asyncio import CancelledError

        while (line := await lines.next()) is not None and line.strip() != QUIT:
            if not line.strip():
                continue
            try:
                await self._turn(line)
            except CancelledError:
                if not signals.forgive():
                    raise
                note("\ncancelled; what had been asked of the model is paid for")

    async def _turn(self, text: str) -> None:
        from agent.app import discard
        from agent.opening import ConversationBusy

        watching = None if self.as_json else Watching()
        try:
            result = await self.app.ask(
                text,
                agent=self.agent,
                caller=self.caller,
                conversation=self.conversation,
                stream=self.stream,
                emit=watching or discard,
            )
        except ConversationBusy as busy:
            note(str(busy))
            return
        self.conversation = result.conversation_id
        self.ended.append(result)
        if watching:
            watching.end(result)
            note(trailer.brief(result))

    def end(self) -> None:
        if self.as_json:
            turns: list[Json] = [
                documents.result(result, standings(self.app, result), trailer.stand_in(self.app, result))
                for result in self.ended
            ]
            documents.write({"conversation_id": self.conversation, "turns": turns})
            return
        console = out()
        if self.ended:
            console.print()
            trailer.show(console, self.app, self.ended[-1], standings(self.app, self.ended[-1]))
        if self.conversation:
            console.print(f"Go on with: agent chat --conversation {self.conversation}", soft_wrap=True)
