"""GraphQL requests and answers on the stage."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from llmproxy.plugin import ANONYMOUS, Caller
from llmproxy.testing import FakeUpstream, Served

from .stage import Stage

FRESH = ("Cache-Control", "max-age=60")
JSON = ("Content-Type", "application/json")


def product(number: int, price: int = 1) -> dict[str, Any]:
    """Return an entity."""
    return {"__typename": "Product", "id": str(number), "price": price}


def answering(*answers: dict[str, Any]) -> FakeUpstream:
    """Return an origin that gives these answers, the last for ever."""
    origin = FakeUpstream()
    for answer in answers:
        origin.reply(body=orjson.dumps(answer), headers=[FRESH, JSON])
    return origin


async def post(
    stage: Stage, query: str | None = None, *, caller: Caller = ANONYMOUS, **members: Any
) -> Served:
    """Ask by POST."""
    body = orjson.dumps({"query": query, **members} if query else members)
    return await stage.ask("/graphql", "POST", body=body, Content_Type="application/json", caller=caller)


async def get(stage: Stage, **parameters: str) -> Served:
    """Ask by GET."""
    return await stage.ask(
        "/graphql?" + "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    )
