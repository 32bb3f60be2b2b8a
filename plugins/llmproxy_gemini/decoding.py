"""A caller's GenerateContentRequest in the canonical form.

Either spelling is read (maxOutputTokens, max_output_tokens); losses are told in Gemini's own, camelCase.
Source: GenerateContentRequest of the Gemini API and of Vertex AI, v1beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmproxy.canonical import (
    Block,
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import BadField, BadRequest
from llmproxy_gemini.fields import bad, items, lose_rest, members, text, texts, word
from llmproxy_gemini.parts import Calls, joined_text, read_parts
from llmproxy_gemini.sampling import read_sampling
from llmproxy_gemini.schemas import json_schema

_DIALECT: Final = "gemini"
_KNOWN: Final = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "labels",
        "serviceTier",
        "model",
    }
)
_ROLES: Final = {
    "user": "user",
    "model": "assistant",
    "function": "user",
    "tool": "user",
    "assistant": "assistant",
}
_FUNCTION: Final = "tools[].functionDeclarations[]"
_FUNCTION_KEYS: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_CHOICE: Final = "toolConfig.functionCallingConfig"
_STORED: Final = {
    "cachedContent": "The request refers to cached content, which only Google holds.",
    "continuationToken": "The request continues an answer that only Google holds.",
}


def generate_request(
    model: str, told: Mapping[str, Any], losses: Losses, *, streamed: bool = False
) -> GenerateRequest:
    """Read a request's members; report what the canonical form cannot hold."""
    for key, why in _STORED.items():
        if told.get(key):
            raise BadRequest("not_translatable", f"{why} It cannot be asked of another provider.")
    if told.get("safetySettings"):
        losses.add("safetySettings", "other providers have no such settings; their own rules hold")
    lose_rest(told, _KNOWN | {"safetySettings", "store"}, "", losses)
    if told.get("store"):
        losses.add("store", "nothing is kept at the provider")
    return GenerateRequest(
        model=model,
        messages=_messages(told.get("contents"), losses),
        system=_system(told.get("systemInstruction"), losses),
        tools=_tools(told.get("tools"), losses),
        tool_choice=_tool_choice(told.get("toolConfig"), losses),
        streamed=streamed,
        metadata=_labels(told.get("labels")),
        service_tier=word(told, "serviceTier", "").lower(),
        **read_sampling(told.get("generationConfig"), losses),
    )


def _labels(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise bad("labels", "an object")
    return value or None


def _system(value: object, losses: Losses) -> tuple[Text, ...]:
    where = "systemInstruction.parts[]"
    if value is None:
        return ()
    parts: object = value
    if isinstance(value, dict):
        told = members(value, "systemInstruction")
        lose_rest(told, frozenset({"parts", "role", "text"}), "systemInstruction", losses)
        parts = told.get("parts") if "parts" in told else value
    if parts is None:
        return ()
    return tuple(joined_text(parts, losses, where))


def _messages(value: object, losses: Losses) -> tuple[Message, ...]:
    calls = Calls()
    messages: list[Message] = []
    if value is None:
        raise BadField("missing_field", "'contents' must hold at least one content.", "contents")
    for content in items(value, "contents"):
        role, blocks = _turn(content, calls, losses)
        if not blocks:
            continue
        last = messages[-1] if messages else None
        if (
            last is not None
            and last.role == role == "user"
            and _all_results(last.content)
            and _is_result(blocks[0])
        ):
            # Results of one turn that came in contents of their own are one turn.
            messages[-1] = msgspec.structs.replace(last, content=(*last.content, *blocks))
        else:
            messages.append(Message(role=role, content=blocks))
    return tuple(messages)


def _turn(content: object, calls: Calls, losses: Losses) -> tuple[Any, tuple[Block, ...]]:
    if isinstance(content, str):
        return "user", (Text(text=content),) if content else ()
    told = members(content, "contents[]")
    role = _ROLES.get(word(told, "role", "contents[]") or "user")
    if role is None:
        raise BadField("invalid_value", "'contents[].role' must be 'user' or 'model'.", "contents[].role")
    if "parts" in told:
        lose_rest(told, frozenset({"role", "parts"}), "contents[]", losses)
        blocks = read_parts(told["parts"], calls, losses)
    else:
        told.pop("role", None)
        blocks = read_parts([told], calls, losses) if told else ()
    if any(isinstance(block, ToolCall) for block in blocks):
        return "assistant", blocks  # whatever it is called: none but the model calls
    if role == "user" and any(map(_is_result, blocks)):
        blocks = tuple(sorted(blocks, key=lambda block: not _is_result(block)))
    return role, blocks


def _is_result(block: Block) -> bool:
    return isinstance(block, ToolResult)


def _all_results(blocks: tuple[Block, ...]) -> bool:
    return all(map(_is_result, blocks))


def _tools(value: object, losses: Losses) -> tuple[Tool | HostedTool, ...]:
    tools: list[Tool | HostedTool] = []
    for tool in items(value, "tools"):
        for key, inner in members(tool, "tools[]").items():
            if key == "functionDeclarations":
                tools += [_function(each, losses) for each in items(inner, "tools[].functionDeclarations")]
            else:
                settings = inner if isinstance(inner, dict) else {"value": inner}
                tools.append(HostedTool(origin=_DIALECT, kind=key, value=settings))
    return tuple(tools)


def _function(value: object, losses: Losses) -> Tool:
    told = members(value, _FUNCTION)
    lose_rest(told, _FUNCTION_KEYS, _FUNCTION, losses, "only Gemini takes it with a function")
    name = text(told.get("name"), f"{_FUNCTION}.name")
    schema = None
    if "parametersJsonSchema" in told:
        schema = _object(told["parametersJsonSchema"], f"{_FUNCTION}.parametersJsonSchema")
    elif "parameters" in told:
        schema = json_schema(_object(told["parameters"], f"{_FUNCTION}.parameters"))
    return Tool(name=name, description=word(told, "description", _FUNCTION), schema=schema)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad(where, "an object")
    return value


def _tool_choice(value: object, losses: Losses) -> ToolChoice | None:
    if value is None:
        return None
    told = members(value, "toolConfig")
    lose_rest(told, frozenset({"functionCallingConfig"}), "toolConfig", losses)
    if "functionCallingConfig" not in told:
        return None
    choice = members(told["functionCallingConfig"], _CHOICE)
    lose_rest(choice, frozenset({"mode", "allowedFunctionNames"}), _CHOICE, losses)
    names = texts(choice.get("allowedFunctionNames"), f"{_CHOICE}.allowedFunctionNames")
    mode = word(choice, "mode", _CHOICE).upper()
    if mode == "ANY":
        return ToolChoice(mode="required", names=names)
    if mode == "NONE":
        return ToolChoice(mode="none")
    if mode == "VALIDATED":
        losses.add(f"{_CHOICE}.mode", "VALIDATED is asked for as AUTO: calls may depart from their schema")
        return ToolChoice(mode="auto", names=names)
    if names:
        losses.add(f"{_CHOICE}.allowedFunctionNames", "names are allowed with mode ANY or VALIDATED only")
    return ToolChoice(mode="auto") if mode == "AUTO" else None
