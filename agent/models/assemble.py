"""Chat Completions in its two shapes, whole and in chunks, into what has `Arrived`."""

from __future__ import annotations

from collections.abc import Mapping

from agent.models.bodies import string, text_of
from agent.models.protocol import Arrived
from agent.models.tool_calls import CallAssembly
from agent.types import Json

_LONGEST_NAME = 256


class Assembly:
    """Reads one answer: a whole body is one chunk whose choice has a `message` where others have a `delta`."""

    def __init__(self, arrived: Arrived) -> None:
        self.arrived = arrived
        self.done = False
        self._choice: Json = None
        self._calls = CallAssembly(arrived.calls)

    @property
    def began(self) -> bool:
        """A choice has come."""
        return self._choice is not None

    @property
    def ended(self) -> bool:
        """The provider said that this is all: without either mark a stream is a truncated one."""
        return self.done or bool(self.arrived.finish_reason)

    def feed(self, body: Mapping[str, Json]) -> str:
        """Takes in one chunk or whole body; the text that it added."""
        self._identify(body)
        if states_usage(body):
            self.arrived.usage_body = body
        choice = self._first_choice(body)
        if choice is None:
            self.arrived.usage_final |= self.arrived.usage_body is body
            return ""
        if isinstance(choice.get("usage"), dict) and not body.get("usage"):
            self.arrived.usage_body = {**body, "usage": choice["usage"]}
        self.arrived.finish_reason = string(choice.get("finish_reason"))[:64] or self.arrived.finish_reason
        self.arrived.usage_final |= bool(self.arrived.finish_reason)
        return self._message(choice)

    def _identify(self, body: Mapping[str, Json]) -> None:
        arrived = self.arrived
        arrived.response_id = arrived.response_id or _name(body, "id")
        arrived.response_model = _name(body, "model") or arrived.response_model
        arrived.service_tier = _name(body, "service_tier") or arrived.service_tier
        arrived.system_fingerprint = _name(body, "system_fingerprint") or arrived.system_fingerprint

    def _first_choice(self, body: Mapping[str, Json]) -> dict[str, Json] | None:
        """The choice that came first, in this chunk too; further ones (n above 1) may bear the same index."""
        choices = body.get("choices")
        if not isinstance(choices, list):
            return None
        for choice in choices:
            if isinstance(choice, dict):
                index = choice.get("index") or 0
                if self._choice is None:
                    self._choice = index
                if index == self._choice:
                    return choice
        return None

    def _message(self, choice: dict[str, Json]) -> str:
        delta, whole = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict):
            self._calls.deltas(delta)
            text = text_of(delta.get("content")) or string(delta.get("refusal"))
        elif isinstance(whole, dict) and not (self.arrived.text or self.arrived.calls):
            self._calls.whole(whole)
            text = text_of(whole.get("content")) or string(whole.get("refusal"))
        else:
            return ""
        if text:
            self.arrived.text.append(text)
        return text


def _name(body: Mapping[str, Json], member: str) -> str | None:
    return string(body.get(member))[:_LONGEST_NAME] or None


def states_usage(body: Mapping[str, Json]) -> bool:
    """Whether a body or chunk has a usage object that says anything, at the usual place or at Groq's."""
    groq = body.get("x_groq")
    usage = body.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
    return isinstance(usage, dict) and bool(usage)
