"""Tools whose results and failures hold what nobody else is to see."""

from __future__ import annotations

from agent.tools.tool import ToolError, tool

RESULT, FAILURE, ERROR = "canary-result", "canary-failure", "canary-error"


@tool(repeat="safe")
async def search_kb(query: str) -> str:
    """Searches the knowledge base.

    Args:
        query: Words to look for.
    """
    return f"{RESULT} for {query}; write to alex@example.com"


@tool
def fail(why: str) -> str:
    """Fails.

    Args:
        why: A reason.
    """
    if "politely" in why:
        raise ToolError(f"{ERROR}: {why}")
    raise RuntimeError(f"{FAILURE}: {why}")
