"""A canonical request as the body that Gemini takes.

What stays the same from turn to turn stands first and the contents last, so that each turn's body begins as the one
before: instructions, tools, settings, contents.
"""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import (
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy_gemini.blocks import Part, PartWriter
from llmproxy_gemini.sampling import write_sampling
from llmproxy_gemini.thinking import version

_DIALECT: Final = "gemini"
#: What Google documents for calls that no Gemini model made: it is not checked.
#: Source: ai.google.dev/gemini-api/docs/thought-signatures, on conversations brought from other models.
UNSIGNED: Final = "skip_thought_signature_validator"
_SIGNED_SINCE: Final = (3, 0)

_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
# Canonical fields that have no place here, and why.
_PLACELESS: Final = {
    "min_p": "Gemini has no such bound",
    "logit_bias": "Gemini takes no bias",
    "verbosity": "Gemini's answers cannot be asked to be longer or shorter",
    "user": "Gemini is not told of users",
    "prompt_cache_key": "Gemini keeps what prompts have in common by itself",
}


def write_request(
    request: GenerateRequest, model: str, losses: Losses, *, vertex: bool = False
) -> dict[str, Any]:
    """Return the body of a generating call."""
    for name, why in _PLACELESS.items():
        if getattr(request, name):
            losses.lose(name, why)
    body: dict[str, Any] = {}
    system = _system(request, losses)
    if system:
        body["systemInstruction"] = {"parts": system}
    tools = _tools(request, losses)
    if tools:
        body["tools"] = tools
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice)}
    if request.parallel_tool_calls is False:
        losses.lose("parallel_tool_calls", "Gemini calls as many tools at once as it likes")
    config = write_sampling(request, model, losses)
    if config:
        body["generationConfig"] = config
    if request.service_tier:
        body["serviceTier"] = request.service_tier
    if request.metadata:
        _label(body, request.metadata, losses, vertex=vertex)
    body["contents"] = _contents(request.messages, version(model) >= _SIGNED_SINCE, losses)
    return body


def _label(body: dict[str, Any], metadata: dict[str, Any], losses: Losses, *, vertex: bool) -> None:
    labels = {key: value for key, value in metadata.items() if isinstance(value, str)}
    if not vertex or len(labels) < len(metadata):
        losses.lose("metadata", "labels are texts" if vertex else "only Vertex takes labels")
    if vertex and labels:
        body["labels"] = labels


def _system(request: GenerateRequest, losses: Losses) -> list[Part]:
    if any(text.cache is not None for text in request.system):
        losses.lose("system.cache", "Gemini keeps what prompts have in common by itself")
    return [{"text": text.text} for text in request.system if text.text]


def _tools(request: GenerateRequest, losses: Losses) -> list[Part]:
    """Return the tools: functions that stand together in one entry, each of Google's own in one of its own."""
    tools: list[Part] = []
    functions: list[Part] = []
    for tool in request.tools:
        if isinstance(tool, Tool):
            if not functions:
                tools.append({"functionDeclarations": functions})
            functions.append(_function(tool, losses))
        elif tool.origin == _DIALECT:
            functions = []
            tools.append(_hosted(tool))
        else:
            losses.lose("tools.hosted", f"{tool.kind} is run by {tool.origin or 'another provider'} only")
    return tools


def _hosted(tool: HostedTool) -> Part:
    plain = tool.value.keys() == {"value"}
    return {tool.kind: tool.value["value"] if plain else tool.value}


def _function(tool: Tool, losses: Losses) -> Part:
    if tool.strict is not None:
        losses.lose("tools.strict", "Gemini's calls mostly keep to the schema, which cannot be asked for")
    if tool.cache is not None:
        losses.lose("tools.cache", "Gemini keeps what prompts have in common by itself")
    told: Part = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    if tool.schema is not None:
        # `parameters` takes but a part of JSON Schema, and answers 400 to the rest.
        told["parametersJsonSchema"] = tool.schema
    return told


def _choice(choice: ToolChoice) -> Part:
    if not choice.names or choice.mode == "none":
        return {"mode": _MODES[choice.mode]}
    # Names are allowed with these two modes only.
    mode = "ANY" if choice.mode == "required" else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": list(choice.names)}


def _contents(messages: tuple[Message, ...], signed: bool, losses: Losses) -> list[Part]:
    contents: list[Part] = []
    answering = False
    for message in messages:
        if message.name:
            losses.lose("messages.name", "Gemini's turns have no names")
        if message.role == "system":
            losses.lose("messages.system", "instructions inside a conversation stand as a user's turn")
        parts = _parts(message, signed, losses)
        if not parts:
            continue
        results = isinstance(message.content[0], ToolResult)
        if results and answering:
            # All results of a turn stand in one content.
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
        answering = message.role == "user" and isinstance(message.content[-1], ToolResult)
    # There must be a turn, though it be empty: Gemini answers instructions alone.
    return contents or [{"role": "user", "parts": [{"text": ""}]}]


def _parts(message: Message, signed: bool, losses: Losses) -> list[Part]:
    writer = PartWriter(losses, nests=signed)
    parts = [part for block in message.content if (part := writer.part(block)) is not None]
    if writer.following:
        results = sum("functionResponse" in part for part in parts)
        parts[results:results] = writer.following
    if signed and message.role == "assistant":
        _sign_first_call(message, parts, losses)
    return parts


def _sign_first_call(message: Message, parts: list[Part], losses: Losses) -> None:
    """See to it that a turn's first call is signed: Gemini 3 answers 400 to one that is not."""
    if any(isinstance(block, ToolCall) and block.signature for block in message.content):
        return
    for part in parts:
        if "functionCall" in part:
            losses.lose("tool_call.signature", "a call without its thought's signature goes on unchecked")
            part["thoughtSignature"] = UNSIGNED
            return
