"""From a request and its fault to the bytes that answer it. Pure but for the clock in `created`."""

from __future__ import annotations

from dataclasses import replace

from agent.offline import helpdesk
from agent.offline.faults import TABLE, Fault
from agent.offline.protocol import Body, chunks, completion
from agent.offline.request import Asked
from agent.offline.wire import Wire, of_body, of_frames


def play(asked: Asked, fault: Fault | None, model: str, number: int) -> tuple[Wire, int | None]:
    """The wire, and the output tokens that the reply's usage states (None where it states none)."""
    if fault is not None and fault.raw is not None:
        return replace(fault.raw, headers=fault.headers), None
    fault = fault or Fault("ok")
    kind, argument = TABLE[fault.name], fault.argument if fault.argument is not None else ""
    body = completion(asked, helpdesk.reply(asked), model, number)
    if kind.body:
        kind.body(asked, body, argument)
    wire = _rendered(asked, body, fault)
    if kind.wire:
        wire = kind.wire(asked, wire, argument)
    return replace(wire, headers=fault.headers), _stated_output(body)


def _rendered(asked: Asked, body: Body, fault: Fault) -> Wire:
    if not asked.stream:
        return of_body(body)
    frames = chunks(body, asked.include_usage)
    if edit := TABLE[fault.name].frames:
        edit(frames, fault.argument or "")
    return of_frames(frames)


def _stated_output(body: Body) -> int | None:
    stated = body.get("usage", {}).get("completion_tokens")
    return stated if isinstance(stated, int) else None
