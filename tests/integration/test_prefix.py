"""Providers cache what a prompt begins with: from turn to turn the bytes that were sent before are sent again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import aiohttp
import orjson
import pytest

from .sdks import LOOK, PREFIXES, site

TURNS = 20
QUESTION = "The weather in " + " and then ".join(("Paris", "Rome", "Oslo") * 7) + "?"
SYSTEM = "You look up the weather, one city after the other, and say nothing else meanwhile. " * 40

Json = dict[str, Any]


class Transcript:
    """An agent's conversation in one dialect: the body of its next request, and what an answer adds to it."""

    def __init__(
        self, path: str, key: str, head: Json, first: Json, more: Callable[[Json, int], list[Json]]
    ) -> None:
        self.path = path
        self._key = key
        self._head = head
        self._turns: list[Json] = [first]
        self._more = more

    def body(self, model: str) -> bytes:
        """Write the request, the conversation last."""
        named = {} if "{}" in self.path else {"model": model}
        return orjson.dumps({**named, **self._head, self._key: self._turns})

    def add(self, answer: Json, number: int) -> None:
        """Append an answer and the results of its calls."""
        self._turns += self._more(answer, number)


def _chat(answer: Json, number: int) -> list[Json]:
    message = answer["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"sun {number}"}
        for call in message["tool_calls"]
    ]
    return [message, *results]


def _responses(answer: Json, number: int) -> list[Json]:
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": f"sun {number}"}
        for item in answer["output"]
        if item["type"] == "function_call"
    ]
    return [*answer["output"], *results]


def _messages(answer: Json, number: int) -> list[Json]:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": f"sun {number}"}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]


def _contents(answer: Json, number: int) -> list[Json]:
    content = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {
            "functionResponse": {
                "name": call["name"],
                "id": call.get("id"),
                "response": {"result": f"sun {number}"},
            }
        }
        for call in calls
    ]
    return [content, {"role": "user", "parts": results}]


def transcript(client: str) -> Transcript:
    """Begin a conversation with thought and tools in one client's dialect."""
    function = {"name": "look", "description": "Look a city up.", "parameters": LOOK}
    asked = {"role": "user", "content": QUESTION}
    thinking = {"type": "enabled", "budget_tokens": 1024}
    if client == "chat":
        head = {
            "max_tokens": 4000,
            "reasoning_effort": "low",
            "tools": [{"type": "function", "function": function}],
        }
        system = {"role": "system", "content": SYSTEM}
        made = Transcript("/v1/chat/completions", "messages", head, system, _chat)
        made._turns.append(asked)
        return made
    if client == "responses":
        tools = [{"type": "function", "strict": False, **function}]
        head = {"instructions": SYSTEM, "reasoning": {"effort": "low"}, "store": False, "tools": tools}
        head["include"] = ["reasoning.encrypted_content"]
        return Transcript("/v1/responses", "input", head, asked, _responses)
    if client == "messages":
        tools = [{"name": "look", "description": "Look a city up.", "input_schema": LOOK}]
        head = {"max_tokens": 4000, "system": SYSTEM, "thinking": thinking, "tools": tools}
        return Transcript("/v1/messages", "messages", head, asked, _messages)
    head = {
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}},
        "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": LOOK}]}],
    }
    first = {"role": "user", "parts": [{"text": QUESTION}]}
    return Transcript("/v1beta/models/{}:generateContent", "contents", head, first, _contents)


@pytest.mark.parametrize("upstream", PREFIXES)
@pytest.mark.parametrize("client", ["chat", "responses", "messages", "gemini"])
async def test_twenty_turns_keep_their_prefix(client: str, upstream: str) -> None:
    talk = transcript(client)
    async with site() as here, aiohttp.ClientSession(here.url) as session:
        for number in range(TURNS):
            body = talk.body(f"{upstream}/m")
            headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
            async with session.post(talk.path.format(f"{upstream}/m"), data=body, headers=headers) as reply:
                answer = await reply.json()
            assert reply.status == 200, answer
            talk.add(answer, number)
        bodies = here.provider.bodies

    assert len(bodies) == TURNS
    kept = [_common(before, after) / len(before) for before, after in pairwise(bodies)]
    assert min(kept) >= 0.99, kept


def _common(before: bytes, after: bytes) -> int:
    return next(
        (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(before)
    )
