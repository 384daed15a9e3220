"""Chat Completions in its two shapes, whole and in chunks, into what has `Arrived`."""

from __future__ import annotations

from collections.abc import Mapping

from agent.models.bodies import string, text_of
from agent.models.protocol import Arrived
from agent.models.tool_calls import CallAssembly
from agent.models.usage_parts import usage_in
from agent.types import Json

_LONGEST_NAME = 256

_BESIDE_TEXT = ("tool_calls", "function_call", "reasoning_content", "reasoning")

_FINISH = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "prohibited_content": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
}
"""What Anthropic, Google and Zhipu call the reasons that decide how a turn ends; not every gateway translates them."""


class Assembly:
    """Reads one answer: a whole body is one chunk whose choice has a `message` where others have a `delta`."""

    def __init__(self, arrived: Arrived, api_key: str | None = None) -> None:
        """`api_key`: where a name repeats it, the name is left out."""
        self.arrived = arrived
        self._key = api_key
        self.done = False
        self._counted = True
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
        choice = self._first_choice(body)
        text = ""
        if choice is not None:
            if reason := (self._name(choice, "finish_reason") or "")[:64]:
                self.arrived.finish_reason = _FINISH.get(reason.lower(), reason)
            text = self._message(choice)
        if usage := usage_in(body, choice):
            self._count(usage)
        self.arrived.usage_final = self._counted and self.ended
        return text

    def end(self) -> None:
        """The provider says that this is all, or a whole body has come."""
        self.done = True
        self.arrived.usage_final = self._counted

    def _count(self, usage: dict[str, Json]) -> None:
        says_more = any(value for value in usage.values() if not isinstance(value, dict))
        self._counted |= says_more or self.arrived.usage is None
        self.arrived.count(usage)

    def _identify(self, body: Mapping[str, Json]) -> None:
        arrived = self.arrived
        arrived.response_id = arrived.response_id or self._name(body, "id")
        arrived.response_model = self._name(body, "model") or arrived.response_model
        arrived.service_tier = self._name(body, "service_tier") or arrived.service_tier
        arrived.system_fingerprint = self._name(body, "system_fingerprint") or arrived.system_fingerprint

    def _name(self, body: Mapping[str, Json], member: str) -> str | None:
        """Names leave in spans whether content is captured or not."""
        text = string(body.get(member))
        return None if self._key and self._key in text else text[:_LONGEST_NAME] or None

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
            if not text and any(map(delta.get, _BESIDE_TEXT)):
                self._counted = False
        elif isinstance(whole, dict) and not (self.arrived.text or self.arrived.calls):
            self._calls.whole(whole)
            text = text_of(whole.get("content")) or string(whole.get("refusal"))
        else:
            return ""
        if text:
            self.arrived.text.append(text)
            self._counted = False
        return text
