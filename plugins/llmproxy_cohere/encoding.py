"""The canonical form, written as a chat request, as Cohere takes it.

What changes from turn to turn stands last: the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Tool
from llmproxy.plugin import BadRequest
from llmproxy_cohere.traits import thinks
from llmproxy_cohere.writing import Writer

if TYPE_CHECKING:
    from llmproxy.canonical import Format, GenerateRequest, Losses, Thinking, ToolChoice

#: Cohere takes no more stop sequences.
_MOST_STOPS: Final = 5
#: The bounds of `p`; and of penalties, which others have from -2 to 2.
_LEAST_P: Final = 0.01
_MOST_P: Final = 0.99
_MOST_PENALTY: Final = 1.0

_PLAIN: Final = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "seed": "seed",
    "top_k": "k",
    "logprobs": "logprobs",
}
#: What Cohere has no field for, each with the value that says nothing.
_LOST: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("n", (None, 1)),
    ("min_p", (None,)),
    ("logit_bias", (None, {})),
    ("top_logprobs", (None, 0)),
    ("parallel_tool_calls", (None, True)),
    ("verbosity", ("",)),
    ("modalities", ((), ("text",))),
    ("user", ("",)),
    ("metadata", (None, {})),
    ("service_tier", ("", "auto")),
    ("aspect", ("",)),
    ("resolution", ("",)),
    ("voice", ("",)),
    ("prompt_cache_key", ("",)),
)


def encode_chat(request: GenerateRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Return the body; report what it cannot carry."""
    body: dict[str, Any] = {"model": model}
    for name, key in _PLAIN.items():
        if (value := getattr(request, name)) is not None:
            body[key] = value
    _write_bounded(request, body, losses)
    for name, silent in _LOST:
        if getattr(request, name) not in silent:
            losses.lose(name)
    _write_tools(request, body, losses)
    if request.format is not None:
        body["response_format"] = _format(request.format, losses)
    if request.thinking is not None:
        _write_thinking(request.thinking, model, body, losses)
    if request.streamed:
        body["stream"] = True
    writer = Writer(losses, thinks=thinks(model))
    messages = writer.write(request)
    if writer.documents:
        body["documents"] = writer.documents
    body["messages"] = messages
    return body


def _write_bounded(request: GenerateRequest, body: dict[str, Any], losses: Losses) -> None:
    """Write what Cohere takes between narrower bounds than others do."""
    if request.top_p is not None:
        body["p"] = min(max(request.top_p, _LEAST_P), _MOST_P)
        if body["p"] != request.top_p:
            losses.lose("top_p", f"told as {body['p']}")
    for name in ("frequency_penalty", "presence_penalty"):
        value = getattr(request, name)
        if value is not None:
            body[name] = min(max(value, 0), _MOST_PENALTY)
            if body[name] != value:
                losses.lose(name, f"told as {body[name]}")
    if request.stop:
        body["stop_sequences"] = list(request.stop[:_MOST_STOPS])
        if len(request.stop) > _MOST_STOPS:
            losses.lose("stop", f"only the first {_MOST_STOPS} sequences are taken")


def _write_tools(request: GenerateRequest, body: dict[str, Any], losses: Losses) -> None:
    tools = [tool for tool in request.tools if isinstance(tool, Tool)]
    if len(tools) < len(request.tools):
        losses.lose("tools.hosted", "other providers run it")
    if any(tool.cache is not None for tool in tools):
        losses.lose("tools.cache")
    if request.tool_choice is not None:
        tools = _choose(request.tool_choice, tools, body)
    if not tools:
        body.pop("tool_choice", None)
        return
    body["tools"] = [_tool(tool) for tool in tools]
    if any(tool.strict for tool in tools):
        body["strict_tools"] = True
        if not all(tool.strict for tool in tools):
            losses.lose("tools.strict", "all tools are strict, or none")


def _choose(choice: ToolChoice, tools: list[Tool], body: dict[str, Any]) -> list[Tool]:
    """Write what may be called; where some tools are named, only those are told of."""
    if choice.mode != "auto":
        body["tool_choice"] = "REQUIRED" if choice.mode == "required" else "NONE"
    if not choice.names or choice.mode == "none":
        return tools
    named = [tool for tool in tools if tool.name in choice.names]
    if not named:
        raise BadRequest("invalid_value", f"There is no tool named {choice.names[0][:64]!r} to choose.")
    return named


def _tool(tool: Tool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    told["parameters"] = {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    return {"type": "function", "function": told}


def _format(form: Format, losses: Losses) -> dict[str, Any]:
    for name in ("name", "description"):
        if getattr(form, name):
            losses.lose(f"format.{name}", f"Cohere's schemas have no {name} of their own")
    if form.strict is False:
        losses.lose("format.strict", "Cohere keeps to every schema")
    told: dict[str, Any] = {"type": "json_object"}
    return told | ({"json_schema": form.schema} if form.kind == "schema" and form.schema else {})


def _write_thinking(thinking: Thinking, model: str, body: dict[str, Any], losses: Losses) -> None:
    refused = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    asked = thinking.enabled or thinking.adaptive or bool(thinking.effort) or thinking.budget is not None
    if thinking.show:
        losses.lose("thinking.show")
    if not thinks(model):
        if asked and not refused:
            losses.lose("thinking", "the model does not think")
    elif refused:
        body["thinking"] = {"type": "disabled"}
    elif asked:
        body["thinking"] = {"type": "enabled"}
        if thinking.budget is not None:
            body["thinking"]["token_budget"] = thinking.budget
        if thinking.effort:
            losses.lose("thinking.effort", "told as thinking switched on")
