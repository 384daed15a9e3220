"""The two tools of the comparison: nothing in them costs time."""

from __future__ import annotations

from agent.tools.tool import tool

USERS = {"U-123": {"id": "U-123", "name": "Dana", "plan": "pro", "status": "active"}}
STEPS = "Restart the router, wait two minutes, forget the network and join it again."
ARTICLES = [{"id": f"kb-{n}", "title": f"Wifi drops {n}", "text": STEPS} for n in range(3)]


@tool(repeat="safe")
async def lookup_user(user_id: str) -> object:
    """Look up a customer by id.

    Args:
        user_id: The customer id, e.g. U-123.
    """
    return USERS[user_id]


@tool(repeat="safe")
async def search_kb(query: str) -> object:
    """Search the knowledge base.

    Args:
        query: What to search for.
    """
    return {"query": query, "hits": ARTICLES}
