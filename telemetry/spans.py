"""The spans of the contract: `invoke_agent`, `chat`, `execute_tool`, each a context manager named for its operation.

What samplers may want to see is set at the start; everything else in one go at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.context import Context, get_current
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AnyValue

from telemetry import names as n
from telemetry.attempt import Attempt, Call
from telemetry.content import Content, Json, Message, printable
from telemetry.events import Events
from telemetry.nano import NANO
from telemetry.operation import Operation, error_code
from telemetry.request_parameters import attributes_of
from telemetry.usage import Usage


class AgentSpan(Operation):
    """The span of one turn."""

    def finish(
        self,
        outcome: str,
        *,
        cost_nano_usd: int,
        finish_reasons: Sequence[str] = (),
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """How the turn ended; tokens are sums over its calls, None where none reported them. Where that is a failure,
        call `fail()` as well."""
        self._end = {n.OUTCOME: outcome, n.TURN_COST: cost_nano_usd / NANO}
        if input_tokens is not None:
            self._end[n.INPUT_TOKENS] = input_tokens
        if output_tokens is not None:
            self._end[n.OUTPUT_TOKENS] = output_tokens
        if finish_reasons:
            self._end[n.FINISH_REASONS] = tuple(finish_reasons)

    def content(self, said: Sequence[Message], answered: Sequence[Message] = (), tools: Sequence[Json] = ()) -> None:
        """What went in and came out; kept only where content is captured."""
        self._content |= _conversation(self._events.content, said, answered, "stop", tools)


class ChatSpan(Operation):
    """The span of one call: all attempts at one question to one model."""

    def retry(self, error_type: str, delay: float) -> None:
        """The attempt failed with `error_type`; now, after `delay` seconds, another one begins."""
        self._span.add_event(n.RETRY, {n.ERROR_TYPE: error_code(error_type), n.RETRY_DELAY: delay})

    def finish(self, *attempts: Attempt, failure: BaseException | None = None) -> None:
        """The call's attempts, in order: the reply is the last one's, tokens and money are sums, as in the ledger.
        Fails the span where the last attempt failed, with `failure` where it was an exception."""
        last = attempts[-1]
        reply: dict[str, AnyValue] = {
            n.RESPONSE_ID: _outside(last.response_id),
            n.RESPONSE_MODEL: _outside(last.response_model),
            n.FINISH_REASONS: tuple(printable(reason) for reason in last.finish_reasons) or None,
            n.TIME_TO_FIRST_CHUNK: last.first_chunk,
            n.OPENAI_RESPONSE_SERVICE_TIER: _outside(last.service_tier),
            n.OPENAI_SYSTEM_FINGERPRINT: _outside(last.system_fingerprint),
            **_tokens([usage for a in attempts if (usage := a.reported) is not None]),
        }
        self._end |= {key: value for key, value in reply.items() if value is not None}
        cost, quality = sum(a.cost.nano_usd for a in attempts), _quality(attempts)
        if cost or quality != "unknown":  # nothing charged and nothing known is not a call that cost nothing
            self._end[n.COST] = cost / NANO
        self._end[n.COST_QUALITY] = quality
        self._end[n.HELD] = sum(a.held_nano_usd for a in attempts) / NANO
        self._end[n.ATTEMPTS] = len(attempts)
        if last.error_type is not None and self.error_type is None:
            self.fail(last.error_type, failure)

    def content(
        self,
        said: Sequence[Message],
        answered: Sequence[Message] = (),
        finish_reason: str = "stop",
        tools: Sequence[Json] = (),
        variables: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        """What was sent and answered; kept only where content is captured. `tools` are `{type, name, description,
        parameters}`."""
        content = self._events.content
        self._content |= _conversation(content, said, answered, finish_reason, tools)
        if content.on and variables:
            self._content |= {n.PROMPT_VARIABLE + key: content.text(str(value)) for key, value in variables.items()}

    def _emit(self) -> None:
        if self._events.content.on_events:
            self._events.operation_details({**self._attributes(), **self._content})
        if self.error_type is not None:
            self._events.operation_exception(self._attributes(), self._exception)


class ToolSpan(Operation):
    """The span of one run of a tool."""

    def content(self, arguments: str, result: str | None = None) -> None:
        """Arguments as the model wrote them and what the model is told; kept only where content is captured."""
        content = self._events.content
        if content.on_spans:
            self._content[n.TOOL_CALL_ARGUMENTS] = content.object(arguments)
            if result is not None:
                self._content[n.TOOL_CALL_RESULT] = content.object(result)

    def _emit(self) -> None:
        if self.error_type is not None:
            self._events.tool_exception(self._attributes(), self._exception)


class Spans:
    """Opens the spans. `events` get what belongs to them; content is captured as its `content` says."""

    def __init__(self, tracer: Tracer, events: Events) -> None:
        self._tracer = tracer
        self._events = events

    @property
    def captures_content(self) -> bool:
        """False where building content for a span would be for nothing."""
        return self._events.content.on

    def invoke_agent(
        self,
        agent: str,
        turn_id: str,
        *,
        conversation_id: str | None = None,
        model: str | None = None,
        tenant: str | None = None,
        user: str | None = None,
        traceparent: str | None = None,
    ) -> AgentSpan:
        """One turn. `model` only where the agent has a single fixed one; `traceparent` (W3C) is continued."""
        attributes: dict[str, AnyValue] = {n.OPERATION_NAME: n.INVOKE_AGENT, n.AGENT_NAME: agent, n.TURN_ID: turn_id}
        optional = {n.CONVERSATION_ID: conversation_id, n.REQUEST_MODEL: model, n.TENANT: tenant, n.USER_ID: user}
        attributes |= {key: value for key, value in optional.items() if value is not None}
        name = f"{n.INVOKE_AGENT} {agent}"
        parent = None if traceparent is None else _continued(traceparent)
        return AgentSpan(self._tracer, self._events, name, SpanKind.INTERNAL, attributes, parent)

    def chat(self, call: Call, max_tokens: int | None = None) -> ChatSpan:
        """One call, opened once it is admitted: a refused call has no span. `max_tokens` is the output cap that its
        first attempt is sent with."""
        attributes = _chat_attributes(call)
        if max_tokens is not None:
            attributes[n.REQUEST_MAX_TOKENS] = max_tokens
        return ChatSpan(self._tracer, self._events, f"{n.CHAT} {call.model}", SpanKind.CLIENT, attributes)

    def execute_tool(
        self,
        agent: str,
        tool: str,
        call_id: str,
        *,
        description: str = "",
        conversation_id: str | None = None,
        tenant: str | None = None,
        user: str | None = None,
    ) -> ToolSpan:
        """One run of a tool."""
        tool = printable(tool)
        attributes: dict[str, AnyValue] = {
            n.OPERATION_NAME: n.EXECUTE_TOOL,
            n.TOOL_NAME: tool,
            n.TOOL_TYPE: "function",
            n.TOOL_CALL_ID: printable(call_id),
            n.AGENT_NAME: agent,
        }
        optional = {
            n.TOOL_DESCRIPTION: description or None,
            n.CONVERSATION_ID: conversation_id,
            n.TENANT: tenant,
            n.USER_ID: user,
        }
        attributes |= {key: value for key, value in optional.items() if value is not None}
        return ToolSpan(self._tracer, self._events, f"{n.EXECUTE_TOOL} {tool}", SpanKind.INTERNAL, attributes)


def _outside(text: str | None) -> str | None:
    return None if text is None else printable(text[:256])


def _continued(traceparent: str) -> Context:
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, get_current())


def _chat_attributes(call: Call) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {
        n.OPERATION_NAME: n.CHAT,
        n.PROVIDER_NAME: call.provider,
        n.REQUEST_MODEL: call.model,
        n.SERVER_ADDRESS: call.server_address,
        n.SERVER_PORT: call.server_port,
        n.OPENAI_API_TYPE: "chat_completions",
    }
    optional = {
        n.PROMPT_NAME: call.prompt_name,
        n.PROMPT_VERSION: call.prompt_version,
        n.PROMPT_DIGEST: call.prompt_digest,
        n.CONVERSATION_ID: call.conversation_id,
        n.TENANT: call.tenant,
        n.USER_ID: call.user,
    }
    attributes |= {key: value for key, value in optional.items() if value}
    if call.stream:
        attributes[n.REQUEST_STREAM] = True
    attributes.update(attributes_of(call.parameters))
    return attributes


def _tokens(usages: Sequence[Usage]) -> dict[str, int | None]:
    """Sums, None where no usage states the count."""
    counts = {
        n.INPUT_TOKENS: [u.input_tokens for u in usages],
        n.OUTPUT_TOKENS: [u.output_tokens for u in usages],
        n.CACHE_READ_TOKENS: [u.cache_read_tokens for u in usages],
        n.CACHE_WRITE_TOKENS: [u.cache_write_tokens for u in usages],
        n.REASONING_TOKENS: [u.reasoning_tokens for u in usages],
    }
    return {name: _sum(stated) for name, stated in counts.items()}


def _sum(counts: Sequence[int | None]) -> int | None:
    stated = [count for count in counts if count is not None]
    return sum(stated) if stated else None


def _quality(attempts: Sequence[Attempt]) -> str:
    """The least certain quality among the attempts."""
    qualities = {a.cost.quality for a in attempts}
    return next(q for q in ("unknown", "estimated", "measured") if q in qualities)


def _conversation(
    content: Content, said: Sequence[Message], answered: Sequence[Message], finish_reason: str, tools: Sequence[Json]
) -> dict[str, Json]:
    if not content.on:
        return {}
    return {
        key: value
        for key, value in (
            (n.SYSTEM_INSTRUCTIONS, content.instructions(said)),
            (n.INPUT_MESSAGES, content.messages(said)),
            (n.OUTPUT_MESSAGES, content.messages(answered, finish_reason)),
            (n.TOOL_DEFINITIONS, [content.value(tool) for tool in tools]),
        )
        if value
    }
