"""Rules for one operation: what the contract asks for under a condition, decided here.

Usage where it was measured, prompt where an agent calls, parts never above their whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.support.conformance.seen import Seen, count, operation_of

_PARTS = {
    "gen_ai.usage.input_tokens": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
    "gen_ai.usage.output_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}


def _usage(seen: Seen) -> Iterator[str]:
    for whole, parts in _PARTS.items():
        if seen.span.status == "UNSET" and seen["agent.cost.quality"] == "measured" and seen[whole] is None:
            yield f"{whole} is missing on a measured call"
        inside = sum(count(seen[part]) for part in parts)
        if inside > count(seen[whole]):
            yield f"{whole} is {seen[whole]!r}, less than its parts {inside}"
    if seen["agent.cost.usd"] is None and seen["agent.cost.quality"] not in (None, "unknown"):
        yield f"agent.cost.usd is missing though {seen['agent.cost.quality']!r}"


def _request(seen: Seen) -> Iterator[str]:
    for name in ("gen_ai.request.stream", "gen_ai.conversation.compacted"):
        if seen[name] is not None and seen[name] is not True:
            yield f"{name} is {seen[name]!r}, may only be true"
    streamed = seen["gen_ai.request.stream"] is True
    first = seen["gen_ai.response.time_to_first_chunk"]
    if streamed and seen.span.status == "UNSET" and first is None:
        yield "gen_ai.response.time_to_first_chunk is missing on a stream"
    if not streamed and first is not None:
        yield "gen_ai.response.time_to_first_chunk without a stream"
    if seen["openai.request.service_tier"] == "auto":
        yield "openai.request.service_tier is said though auto"
    if seen["gen_ai.provider.name"] in ("openai", "azure.ai.openai") and seen["openai.api.type"] is None:
        yield "openai.api.type is missing"


def _prompt(seen: Seen) -> Iterator[str]:
    prompt = ("gen_ai.prompt.name", "gen_ai.prompt.version", "agent.prompt.digest")
    missing = [name for name in prompt if seen[name] is None]
    if missing and (seen.agent is not None or len(missing) < len(prompt)):
        yield f"{', '.join(missing)} missing"


def _retries(seen: Seen) -> Iterator[str]:
    retries = [event for event in seen.span.events if event.name == "agent.retry"]
    for event in retries:
        if not event.attributes.get("error.type"):
            yield "a retry has no error.type"
        if not any(name.endswith("delay") and type(v) in (int, float) for name, v in event.attributes.items()):
            yield "a retry has no delay"
    attempts = seen["agent.attempts"]
    if type(attempts) is int and attempts != len(retries) + 1:
        yield f"{attempts} attempts and {len(retries)} retry events"


_ENDED_ELSEWHERE = ("handed_back", "agent.journal.TakenOver", "agent.journal.NotBegun")
"""The `error.type` of an agent span whose turn another process ends: its outcome and sums are on that one's span."""


def _sums(seen: Seen) -> Iterator[str]:
    """At least its calls' sums: what a dead process had paid for before is in the turn, its spans may be lost."""
    if seen["error.type"] in _ENDED_ELSEWHERE:
        return
    calls = [child.attributes for child in seen.children if operation_of(child) == "chat"]
    for name in _PARTS:
        total = sum(count(call.get(name)) for call in calls)
        if total and (seen[name] is None or count(seen[name]) < total):
            yield f"{name} is {seen[name]!r}, its calls have {total}"
    if seen["gen_ai.response.finish_reasons"] is None and any("gen_ai.response.finish_reasons" in c for c in calls):
        yield "gen_ai.response.finish_reasons is missing, its calls have them"


def _outcome(seen: Seen) -> Iterator[str]:
    failed = seen.span.status == "ERROR"
    if failed and (seen["agent.outcome"] is None) != (seen["error.type"] in _ENDED_ELSEWHERE):
        yield f"agent.outcome is {seen['agent.outcome']!r} and error.type {seen['error.type']!r}"
    if seen["agent.outcome"] == ("answered" if failed else "provider_failed"):
        yield f"agent.outcome is {seen['agent.outcome']!r} and the status {seen.span.status}"


OF_OPERATION: Mapping[str, tuple[Callable[[Seen], Iterator[str]], ...]] = {
    "invoke_agent": (_sums, _outcome),
    "chat": (_usage, _request, _prompt, _retries),
    "execute_tool": (),
}
