"""The official SDKs asking the same, each in its dialect, whole and as a stream; and what each shows of the answer.

What is shown is everything that the SDK's object holds, members that it has no field for among it. An answer that the
gateway translated has names and times made for the caller where the provider gave none: those are left out, and only
there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import anthropic
import openai
from google import genai
from google.genai import types

from .sdks import KEY, LOOK

#: What the scenarios ask for, in no dialect's words: a question, whether to think, whether there is a tool.
SCENARIOS: dict[str, tuple[str, bool, bool]] = {
    "plain": ("Hi", False, False),
    "thinking": ("Hi", True, False),
    "tools": ("The weather in Paris and Rome?", False, True),
    "thinking-tools": ("The weather in Paris and Rome?", True, True),
    "cited": ("cite", False, False),
    "refused": ("refuse this", False, False),
    "cut": ("long", False, False),
}
#: Which upstream speaks as each SDK does.
OWN_UPSTREAM = {
    "chat": "openai",
    "responses": "openai-responses",
    "messages": "anthropic",
    "generate": "gemini",
}
_MADE = frozenset(
    {"id", "item_id", "call_id", "created", "created_at", "completed_at", "create_time", "response_id"}
)


class Asking(NamedTuple):
    """A dialect's SDK, and whether it streams."""

    dialect: str
    streamed: bool

    def __str__(self) -> str:
        return f"{self.dialect}-{'stream' if self.streamed else 'whole'}"


ALL = [Asking(dialect, streamed) for dialect in OWN_UPSTREAM for streamed in (False, True)]


class Sdks:
    """All of them, before one gateway; `fields` are header fields that every request gets."""

    def __init__(self, chat: openai.AsyncOpenAI, messages: anthropic.AsyncAnthropic, generate: Any) -> None:
        self._openai = chat
        self._anthropic = messages
        self._google = generate
        self._ways: dict[str, Callable[..., Awaitable[Any]]] = {
            "chat": self._chat,
            "responses": self._responses,
            "messages": self._messages,
            "generate": self._generate,
        }

    async def ask(
        self, asking: Asking, upstream: str, scenario: str, fields: dict[str, str], *, about: str = ""
    ) -> Any:
        """Ask a scenario, perhaps `about` something that changes nothing; return what the SDK shows of the answer."""
        question, thinking, tools = SCENARIOS[scenario]
        question = f"{question} {about}".rstrip()
        told = await self._ways[asking.dialect](
            f"{upstream}/m", question, thinking=thinking, tools=tools, streamed=asking.streamed, fields=fields
        )
        return told if OWN_UPSTREAM[asking.dialect] == upstream else _without_made(told)

    async def chunks(
        self, upstream: str, question: str, fields: dict[str, str], *, include_usage: bool | None = None
    ) -> Any:
        """Stream a chat as who reads chunk by chunk, asking for usage or not."""
        asked: dict[str, Any] = {
            "model": f"{upstream}/m",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 4000,
        }
        if include_usage is not None:
            asked["stream_options"] = {"include_usage": include_usage}
        return await self._openai.chat.completions.create(**asked, stream=True, extra_headers=fields)

    async def _chat(
        self,
        model: str,
        question: str,
        *,
        thinking: bool,
        tools: bool,
        streamed: bool,
        fields: dict[str, str],
    ) -> Any:
        asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
        asked |= {"extra_headers": fields, "max_tokens": 4000}
        if thinking:
            asked["reasoning_effort"] = "low"
        if tools:
            asked["tools"] = [{"type": "function", "function": {"name": "look", "parameters": LOOK}}]
        create = self._openai.chat.completions
        if not streamed:
            return _said((await create.create(**asked)).model_dump(exclude_none=True))
        async with create.stream(stream_options={"include_usage": True}, **asked) as stream:
            async for _ in stream:
                pass
            return _said(stream.current_completion_snapshot.model_dump(exclude_none=True))

    async def _responses(
        self,
        model: str,
        question: str,
        *,
        thinking: bool,
        tools: bool,
        streamed: bool,
        fields: dict[str, str],
    ) -> Any:
        asked: dict[str, Any] = {"model": model, "input": question, "store": False}
        asked |= {"extra_headers": fields, "max_output_tokens": 4000}
        if thinking:
            asked |= {
                "reasoning": {"effort": "low", "summary": "auto"},
                "include": ["reasoning.encrypted_content"],
            }
        if tools:
            asked["tools"] = [{"type": "function", "name": "look", "parameters": LOOK, "strict": False}]
        if not streamed:
            return (await self._openai.responses.create(**asked)).model_dump(exclude_none=True)
        async with self._openai.responses.stream(**asked) as stream:
            events = [event async for event in stream]
        numbers = [event.sequence_number for event in events]
        assert numbers == list(range(len(numbers)))
        # The SDK's own accumulation knows of completed responses only; every end repeats the response.
        final: Any = events[-1]
        return final.response.model_dump(exclude_none=True)

    async def _messages(
        self,
        model: str,
        question: str,
        *,
        thinking: bool,
        tools: bool,
        streamed: bool,
        fields: dict[str, str],
    ) -> Any:
        asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
        asked |= {"max_tokens": 4000, "extra_headers": fields}
        if thinking:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if tools:
            asked["tools"] = [{"name": "look", "input_schema": LOOK}]
        if not streamed:
            return (await self._anthropic.messages.create(**asked)).model_dump(exclude_none=True)
        async with self._anthropic.messages.stream(**asked) as stream:
            async for _ in stream:
                pass
            return (await stream.get_final_message()).model_dump(exclude_none=True)

    async def _generate(
        self,
        model: str,
        question: str,
        *,
        thinking: bool,
        tools: bool,
        streamed: bool,
        fields: dict[str, str],
    ) -> Any:
        setting: dict[str, Any] = {"max_output_tokens": 4000}
        setting["http_options"] = types.HttpOptions(headers=fields)
        if thinking:
            setting["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        if tools:
            declared = types.FunctionDeclaration(name="look", parameters_json_schema=LOOK)
            setting["tools"] = [types.Tool(function_declarations=[declared])]
            setting["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
        asked = {"model": model, "contents": question, "config": types.GenerateContentConfig(**setting)}
        models = self._google.models
        if not streamed:
            return _answer([await models.generate_content(**asked)])
        return _answer([chunk async for chunk in await models.generate_content_stream(**asked)])


def _said(completion: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty text: where nothing is said, the provider's streams say so with "" and its whole answers null."""
    for choice in completion["choices"]:
        if choice["message"].get("content") == "":
            del choice["message"]["content"]
    return completion


def _answer(chunks: list[Any]) -> Any:
    """Put together what Google's SDK gives in chunks: it has no object for a stream's whole."""
    told: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    end: dict[str, Any] = {}
    for chunk in chunks:
        shown = chunk.model_dump(mode="json", exclude_none=True)
        shown.pop("sdk_http_response", None)
        for candidate in shown.pop("candidates", []):
            for part in (candidate.pop("content", None) or {}).get("parts") or []:
                _add(parts, part)
            end |= candidate
        told |= shown
    return {**told, "candidate": end, "parts": parts}


def _add(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    last = parts[-1] if parts else {}
    if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
        last |= {**part, "text": last["text"] + part["text"]}
    elif part != {"text": ""}:
        parts.append(part)


def _without_made(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _without_made(value) for key, value in told.items() if key not in _MADE}
    return [_without_made(each) for each in told] if isinstance(told, list) else told


@asynccontextmanager
async def sdks(url: str) -> AsyncIterator[Sdks]:
    """Point every SDK at a gateway."""
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        )
        messages = await stack.enter_async_context(
            anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0)
        )
        options = types.HttpOptions(base_url=url, api_version="v1beta")
        generate = await stack.enter_async_context(genai.Client(api_key=KEY, http_options=options).aio)
        yield Sdks(chat, messages, generate)
