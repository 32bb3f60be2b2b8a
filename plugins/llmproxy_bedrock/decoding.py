"""Reads a Converse request into the canonical form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Format,
    GenerateRequest,
    HostedTool,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy_bedrock.blocks import read_cache, read_content
from llmproxy_bedrock.extras import Read, read_extras
from llmproxy_bedrock.thoughts import OWN
from llmproxy_bedrock.values import (
    a_count,
    a_list,
    a_number,
    a_text,
    a_text_or_nothing,
    a_truth,
    an_object,
    refuse,
    tell_rest,
    the_one,
)

if TYPE_CHECKING:
    from llmproxy.canonical import Block, Losses

_ROLES: Final = ("user", "assistant", "system")
_SPEC: Final = ("name", "description", "inputSchema", "strict")


def decode_converse(
    model: str, told: dict[str, Any], losses: Losses, *, streamed: bool = False
) -> GenerateRequest:
    """Read the members of a request; the model's name stands in its path.

    Raises:
        BadRequest: a member is not as it must be, or a prompt is kept at Amazon.
    """
    read: Read = {"model": model, "streamed": streamed}
    if told.get("messages") is None:
        refuse("messages", "is missing; a prompt that Amazon keeps cannot be translated")
    for key, value in told.items():
        reader = _READERS.get(key)
        if value is None:
            continue
        if reader is not None:
            reader(value, read, losses)
        elif value not in ([], {}):
            losses.add(key, "the canonical form has no place for it")
    if effort := read.pop("effort", ""):
        read["thinking"] = msgspec.structs.replace(read.get("thinking") or Thinking(), effort=effort)
    read["messages"] = _settled(read)
    return GenerateRequest(**read)


def _settled(read: Read) -> tuple[Message, ...]:
    """Return the messages, instructions that open them put before them, results first and with their calls' names."""
    messages: list[Message] = read["messages"]
    opening = 0
    while opening < len(messages) and messages[opening].role == "system":
        moved = [block for block in messages[opening].content if isinstance(block, Text)]
        if len(moved) < len(messages[opening].content):
            break
        read["system"] = (*read.get("system", ()), *moved)
        opening += 1
    names: dict[str, str] = {}
    return tuple(_named(message, names) for message in messages[opening:])


def _named(message: Message, names: dict[str, str]) -> Message:
    if not any(isinstance(block, ToolCall | ToolResult) for block in message.content):
        return message
    blocks: list[Block] = []
    for block in message.content:
        if isinstance(block, ToolCall):
            names[block.id] = block.name
            blocks.append(block)
        elif isinstance(block, ToolResult):
            blocks.append(msgspec.structs.replace(block, name=names.get(block.id, "")))
        else:
            blocks.append(block)
    blocks.sort(key=lambda block: not isinstance(block, ToolResult))
    return Message(role=message.role, content=tuple(blocks))


def _messages(value: Any, read: Read, losses: Losses) -> None:
    messages = []
    for each in a_list(value, "messages"):
        told = an_object(each, "messages[]")
        role = told.get("role")
        if role not in _ROLES:
            refuse("messages[].role", "must be user, assistant or system")
        content = read_content(told.get("content"), "messages[].content", losses)
        messages.append(Message(role=role, content=tuple(content)))
        tell_rest(told, ("role", "content"), "messages[]", losses)
    read["messages"] = messages


def _system(value: Any, read: Read, losses: Losses) -> None:
    blocks = read_content(value, "system", losses)
    if not all(isinstance(block, Text) for block in blocks):
        refuse("system[]", "must hold text, guardContent or cachePoint")
    read["system"] = tuple(blocks)


def _tools(value: Any, read: Read, losses: Losses) -> None:
    config = an_object(value, "toolConfig")
    tools: list[Tool | HostedTool] = []
    for each in a_list(config.get("tools"), "toolConfig.tools"):
        kind, told = the_one(an_object(each, "toolConfig.tools[]"), "toolConfig.tools[]")
        if kind == "toolSpec":
            tools.append(_tool(an_object(told, "toolConfig.tools[].toolSpec"), losses))
        elif kind != "cachePoint":
            tools.append(HostedTool(origin=OWN, kind=kind, value=each))
        elif tools and isinstance(tools[-1], Tool):
            mark = read_cache(told, "toolConfig.tools[].cachePoint")
            tools[-1] = msgspec.structs.replace(tools[-1], cache=mark)
        else:
            losses.add("toolConfig.tools[].cachePoint", "it follows nothing that could be marked")
    read["tools"] = tuple(tools)
    if config.get("toolChoice") is not None:
        read["tool_choice"] = _choice(config["toolChoice"])
    tell_rest(config, ("tools", "toolChoice"), "toolConfig", losses)


def _tool(told: dict[str, Any], losses: Losses) -> Tool:
    where = "toolConfig.tools[].toolSpec"
    schema, strict = told.get("inputSchema"), told.get("strict")
    if schema is not None:
        schema = an_object(schema, f"{where}.inputSchema").get("json")
    tell_rest(told, _SPEC, where, losses)
    return Tool(
        name=a_text(told.get("name"), f"{where}.name"),
        description=a_text_or_nothing(told.get("description"), f"{where}.description"),
        schema=None if schema is None else an_object(schema, f"{where}.inputSchema.json"),
        strict=None if strict is None else a_truth(strict, f"{where}.strict"),
    )


def _choice(value: Any) -> ToolChoice:
    where = "toolConfig.toolChoice"
    kind, told = the_one(an_object(value, where), where)
    if kind == "auto":
        return ToolChoice(mode="auto")
    if kind == "any":
        return ToolChoice(mode="required")
    if kind != "tool":
        refuse(where, "must hold auto, any or tool")
    name = a_text(an_object(told, f"{where}.tool").get("name"), f"{where}.tool.name")
    return ToolChoice(mode="required", names=(name,))


def _inference(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "inferenceConfig")
    for key, name, reader in _CONFIG:
        if told.get(key) is not None:
            read[name] = reader(told[key], f"inferenceConfig.{key}")
    if told.get("stopSequences") is not None:
        where = "inferenceConfig.stopSequences"
        read["stop"] = tuple(a_text(each, f"{where}[]") for each in a_list(told["stopSequences"], where))
    tell_rest(told, ("maxTokens", "temperature", "topP", "stopSequences"), "inferenceConfig", losses)


_CONFIG: Final[tuple[tuple[str, str, Callable[[Any, str], Any]], ...]] = (
    ("maxTokens", "max_tokens", a_count),
    ("temperature", "temperature", a_number),
    ("topP", "top_p", a_number),
)


def _output(value: Any, read: Read, losses: Losses) -> None:
    told = an_object(value, "outputConfig")
    read["effort"] = a_text_or_nothing(told.get("effort"), "outputConfig.effort")
    if told.get("textFormat") is not None:
        read["format"] = _format(told["textFormat"], losses)
    tell_rest(told, ("effort", "textFormat"), "outputConfig", losses)


def _format(value: Any, losses: Losses) -> Format:
    where = "outputConfig.textFormat"
    told = an_object(value, where)
    structure = an_object(told.get("structure"), f"{where}.structure")
    where = f"{where}.structure.jsonSchema"
    inner = an_object(structure.get("jsonSchema"), where)
    text = a_text(inner.get("schema"), f"{where}.schema")
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError:
        refuse(f"{where}.schema", "must be a JSON Schema, written as a string")
    tell_rest(inner, ("schema", "name", "description"), where, losses)
    return Format(
        kind="schema",
        schema=an_object(schema, f"{where}.schema"),
        name=a_text_or_nothing(inner.get("name"), f"{where}.name"),
        description=a_text_or_nothing(inner.get("description"), f"{where}.description"),
    )


def _metadata(value: Any, read: Read, losses: Losses) -> None:
    read["metadata"] = an_object(value, "requestMetadata")


def _tier(value: Any, read: Read, losses: Losses) -> None:
    read["service_tier"] = a_text(an_object(value, "serviceTier").get("type"), "serviceTier.type")


def _read_already(value: Any, read: Read, losses: Losses) -> None:
    """The path names the model; some clients repeat it in the body."""


_READERS: Final[dict[str, Callable[[Any, Read, Losses], None]]] = {
    "modelId": _read_already,
    "messages": _messages,
    "system": _system,
    "toolConfig": _tools,
    "inferenceConfig": _inference,
    "outputConfig": _output,
    "requestMetadata": _metadata,
    "serviceTier": _tier,
    "additionalModelRequestFields": read_extras,
}
