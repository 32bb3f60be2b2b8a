"""Writes a canonical request as one for a response.

What stays the same from turn to turn stands first and the conversation last, so that a later turn's body begins with
the bytes of the one before.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from llmproxy.plugin import Quirks
from llmproxy_openai.responses.item_writer import Target, write_items
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.traits import fitted, fitted_quirks
from llmproxy_openai.users import written_user

_ANY: Final = Quirks()

#: OpenAI refuses a bound below this.
LEAST_TOKENS: Final = 16

#: What this API has no member for.
_LACKING: Final = (
    "top_k",
    "min_p",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "n",
    "modalities",
    "aspect",
    "resolution",
    "voice",
)
#: What says no more than saying nothing.
_NOTHING: Final = {
    "n": 1,
    "modalities": ("text",),
    "frequency_penalty": 0,
    "presence_penalty": 0,
    **dict.fromkeys(("aspect", "resolution", "voice"), ""),
}

#: What is written as it is, in this order.
_PLAIN: Final = (
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "prompt_cache_key",
    "user",
)
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_EFFORTS: Final = ((1024, "minimal"), (4096, "low"), (16384, "medium"))


def write_request(request: GenerateRequest, model: str, losses: Losses, quirks: Quirks = _ANY) -> bytes:
    """Return the body; report what it cannot hold."""
    request, quirks = fitted(request, model, losses), fitted_quirks(quirks, model)
    body: dict[str, Any] = {"model": model}
    instructions = _instructions(request.system, losses)
    items = write_items(request.messages, Target(losses, quirks))
    if items:
        _put(body, "instructions", instructions)
    elif instructions:
        items = [{"type": "message", "role": "system", "content": instructions}]
    _put(body, "tools", [tool for each in request.tools if (tool := _tool(each, losses))])
    _put(body, "tool_choice", _choice(request.tool_choice))
    _put(body, "text", _text(request.format, request.verbosity))
    _put(body, "reasoning", _reasoning(request.thinking, losses))
    _put(body, "max_output_tokens", _most(request.max_tokens, losses))
    for key in _PLAIN:
        value = getattr(request, key)
        if key == "user" and value:
            value = written_user(value, losses)
        if key in quirks.refused and value is not None and value != "":
            losses.lose(key, "the provider refuses it")
        else:
            _put(body, key, value)
    _put(body, "include", _include(request))
    _put(body, "metadata", _metadata(request.metadata, losses))
    _put(body, "service_tier", _tier(request.service_tier, losses))
    for name in _LACKING:
        value = getattr(request, name)
        if value not in (None, ()) and value != _NOTHING.get(name):
            losses.lose(name)
    body["store"] = False
    _put(body, "stream", request.streamed or None)
    body["input"] = items
    return orjson.dumps(body)


def _put(body: dict[str, Any], key: str, value: Any) -> None:
    if value is not None and value not in ("", [], {}):
        body[key] = value


def _instructions(system: tuple[Text, ...], losses: Losses) -> str:
    if any(text.cache is not None for text in system):
        losses.lose("system.cache", "the provider caches prompts by itself")
    return "\n\n".join(text.text for text in system)


def _tool(tool: Tool | HostedTool, losses: Losses) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return _hosted(tool, losses)
    if tool.cache is not None:
        losses.lose("tools.cache", "the provider caches prompts by itself")
    written: dict[str, Any] = {"type": "function", "name": tool.name}
    _put(written, "description", tool.description)
    written["parameters"] = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
    # This API is strict where nothing is said, and no other is.
    written["strict"] = tool.strict is True
    return written


def _hosted(tool: HostedTool, losses: Losses) -> dict[str, Any]:
    if tool.origin != ORIGIN:
        losses.lose("tools.hosted", "it is a tool of another provider")
        return {}
    custom = tool.value.get("custom")
    if tool.kind == "custom" and isinstance(custom, dict):
        form = custom.get("format")
        if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
            custom = {**custom, "format": {"type": "grammar", **form["grammar"]}}
        return {"type": "custom", **custom}
    return tool.value if isinstance(tool.value.get("type"), str) else {"type": tool.kind, **tool.value}


def _choice(choice: ToolChoice | None) -> Any:
    if choice is None or choice.mode == "none" or not choice.names:
        return None if choice is None else choice.mode
    tools = [{"type": "function", "name": name} for name in choice.names]
    if len(tools) == 1 and choice.mode == "required":
        return tools[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


def _text(form: Format | None, verbosity: str) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if form is not None and form.kind == "json":
        text["format"] = {"type": "json_object"}
    elif form is not None:
        schema: dict[str, Any] = {"type": "json_schema", "name": form.name or "answer"}
        _put(schema, "description", form.description)
        schema["schema"] = form.schema or {}
        schema["strict"] = form.strict is True
        text["format"] = schema
    _put(text, "verbosity", verbosity)
    return text


def _reasoning(thinking: Thinking | None, losses: Losses) -> dict[str, Any]:
    if thinking is None:
        return {}
    how: dict[str, Any] = {}
    effort = thinking.effort
    if not effort and thinking.enabled is False:
        losses.lose("thinking", "left to the model, some of which cannot be told not to think")
    elif not effort and thinking.budget is not None:
        effort = next((word for most, word in _EFFORTS if thinking.budget <= most), "high")
        losses.lose(
            "thinking.budget", f"the provider takes no number of tokens; effort {effort} is asked for"
        )
    elif thinking.budget is not None:
        losses.lose("thinking.budget", f"the provider takes no number of tokens, but effort {effort}")
    _put(how, "effort", effort)
    if thinking.show in ("auto", "concise", "detailed"):
        how["summary"] = thinking.show
    elif thinking.show not in ("", "omitted"):
        losses.lose("thinking.show", "the provider has no such form of summary")
    return how


def _most(bound: int | None, losses: Losses) -> int | None:
    if bound is None or bound >= LEAST_TOKENS:
        return bound
    losses.lose("max_tokens", f"the provider takes {LEAST_TOKENS} at least, which is asked for")
    return LEAST_TOKENS


def _include(request: GenerateRequest) -> list[str]:
    wanted = []
    if (request.thinking is not None and request.thinking.enabled is not False) or any(
        isinstance(block, Reasoning) and block.origin == ORIGIN and (block.redacted or block.signature)
        for message in request.messages
        for block in message.content
    ):
        wanted.append("reasoning.encrypted_content")
    if request.logprobs:
        wanted.append("message.output_text.logprobs")
    return wanted


def _metadata(metadata: dict[str, Any] | None, losses: Losses) -> dict[str, str]:
    told = metadata or {}
    kept = {key: value for key, value in told.items() if isinstance(value, str)}
    if len(kept) < len(told):
        losses.lose("metadata", "the provider takes texts only")
    return kept


def _tier(tier: str, losses: Losses) -> str:
    if tier and tier not in _TIERS:
        losses.lose("service_tier", "the provider has no such tier")
        return ""
    return tier
