"""Content of messages and tools: whether it is captured, in which form, and what never is.

Off unless the environment says so. Secrets and personal data are taken out before anything is captured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

CAPTURE_SWITCH: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MODES: Final = {
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
}
_TEXT_LIMIT: Final = 8_192
_TOTAL_LIMIT: Final = 65_536
_HALVED: Final = 1_024


class ToolCall(Protocol):
    """A tool call as the model wrote it; `arguments` is raw text."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> str: ...


class Message(Protocol):
    """One message of a conversation; `tool_call_id` is set where the role is `tool`."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def tool_calls(self) -> Sequence[ToolCall]: ...
    @property
    def tool_call_id(self) -> str | None: ...


# --- redaction ---------------------------------------------------------------------------------------------------

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|secret|(^|[_-])token$|api[_-]?key|authorization|credential|private[_-]?key", re.I
)
_PATTERNS: Final = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
        "[private key]",
    ),
    (re.compile(r"\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.I), "[authorization]"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), "[token]"),
    (re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"), "[api key]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "[aws key]"),
    (
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,})"),
        "[token]",
    ),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"), "[api key]"),
    (re.compile(r"(?i)\b(pass(?:word|wd|phrase)|secret|api[_-]?key|token)(\s*[:=]\s*)[^\s,;\"']{4,}"), r"\1\2[secret]"),
    (re.compile(r"(?i)\b(pass(?:word|wd|phrase)\s+is:?\s+)(?=\S*\d)[^\s,;\"']{4,}"), r"\1[secret]"),
    (re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"), "[e-mail]"),
)
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")


def redact(text: str) -> str:
    """`text` without keys, tokens, e-mail addresses and payment card numbers."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _CARD.sub(lambda m: "[card number]" if _luhn(m.group()) else m.group(), text)


def _luhn(number: str) -> bool:
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    return sum(d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits)) % 10 == 0


# --- capture -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """What is captured on spans and on events; texts pass through `redact` and are cut at 8,192 characters."""

    on_spans: bool = False
    on_events: bool = False
    redact: Callable[[str], str] = redact

    @property
    def on(self) -> bool:
        return self.on_spans or self.on_events

    @staticmethod
    def from_env(env: Mapping[str, str]) -> Content:
        """Raises ValueError where the switch is set to something that the conventions don't know."""
        mode = env.get(CAPTURE_SWITCH, "").strip().upper() or "NO_CONTENT"
        if mode not in _MODES:
            raise ValueError(f"{CAPTURE_SWITCH}={mode!r}: expected one of {', '.join(_MODES)}")
        return Content(*_MODES[mode])

    def text(self, text: str) -> str:
        if len(text) <= 2 * _TEXT_LIMIT:
            redacted = self.redact(printable(text))
        else:  # redacting is to cost a bounded time; what the cut may have halved goes as well
            redacted = self.redact(printable(text[: 2 * _TEXT_LIMIT]))[:-_HALVED]
        if len(text) <= 2 * _TEXT_LIMIT and len(redacted) <= _TEXT_LIMIT:
            return redacted
        return f"{redacted[:_TEXT_LIMIT]}… [cut, {len(text)} characters in all]"

    def value(self, value: Json, key: str = "") -> Json:
        """A JSON value with every text in it redacted and cut, and the values of secret-looking keys gone."""
        if value is not None and _SECRET_KEY.search(key):
            return "[secret]"
        if isinstance(value, dict):
            return {printable(k): self.value(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and self.redact(str(value)) != str(value):
            return self.redact(str(value))
        return value

    def object(self, text: str) -> dict[str, Json]:
        """`text` as the JSON object that the conventions ask for; what is none becomes `{"content": text}`."""
        try:
            parsed: Json = json.loads(text)
            if isinstance(parsed, dict):
                return {key: self.value(value, key) for key, value in parsed.items()}
        except (ValueError, RecursionError):  # a model may nest as deep as it likes
            pass
        return {"content": self.text(text)}

    def instructions(self, messages: Iterable[Message]) -> list[Json]:
        """The system messages among `messages`, as parts."""
        return [{"type": "text", "content": self.text(m.content)} for m in messages if m.role == "system"]

    def messages(self, messages: Sequence[Message], finish_reason: str | None = None) -> list[Json]:
        """All but the system messages, as `{role, parts}`: the newest, up to 65,536 characters together."""
        kept: list[Json] = []
        size = 0
        said = [m for m in messages if m.role != "system"]
        for message in reversed(said):
            shown: dict[str, Json] = {"role": message.role, "parts": self._parts(message)}
            if finish_reason is not None:
                shown["finish_reason"] = finish_reason
            size += len(dump(shown))
            if kept and size > _TOTAL_LIMIT:
                note = f"[{len(said) - len(kept)} earlier messages not captured]"
                kept.append({"role": "system", "parts": [{"type": "text", "content": note}]})
                break
            kept.append(shown)
        return kept[::-1]

    def _parts(self, message: Message) -> list[Json]:
        if message.role == "tool":
            return [{"type": "tool_call_response", "id": message.tool_call_id, "response": self.text(message.content)}]
        parts: list[Json] = [{"type": "text", "content": self.text(message.content)}] if message.content else []
        for call in message.tool_calls:
            arguments: Json = self.object(call.arguments)
            parts.append(
                {"type": "tool_call", "id": printable(call.id), "name": printable(call.name), "arguments": arguments}
            )
        return parts


def printable(text: str) -> str:
    """`text` without lone surrogates: JSON can say them, UTF-8 cannot, and one would cost a whole batch of spans."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def dump(value: Json) -> str:
    """Content as it stands on spans: text as it is, all else as a JSON string."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
