"""Reads a caller's request for a response into the canonical form."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    CountRequest,
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    ModelRequest,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from llmproxy.plugin import BadField, Exchange, no_translation
from llmproxy_openai.responses.asked import Asked, keep_asked
from llmproxy_openai.responses.custom_tools import read_custom
from llmproxy_openai.responses.item_reader import read_input
from llmproxy_openai.responses.loss_names import LOSS_NAMES
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.reading import array, flag, needed, number, table, text, unread, whole, wrong

_LOGPROBS: Final = "message.output_text.logprobs"
_ENCRYPTED: Final = "reasoning.encrypted_content"

#: What needs the provider's own stored things, or a job of its own, and what is said of it.
_REFUSED: Final = {
    "background": "A response cannot be made in the background for this model's provider.",
    "conversation": "Stored conversations are not kept for this model's provider; use previous_response_id.",
    "prompt": "Prompt templates are stored at OpenAI, where this model's provider cannot read them.",
}

_READ: Final = frozenset(
    b"""
    model input instructions tools tool_choice text reasoning max_output_tokens temperature top_p top_logprobs include
    metadata parallel_tool_calls service_tier prompt_cache_key safety_identifier user truncation store stream
    stream_options previous_response_id background conversation prompt
    """.decode().split()
)


def decode_request(exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
    """Read the whole request; report what the canonical form cannot hold.

    Raises:
        BadRequest: it is broken, or asks for what only OpenAI itself can do.
    """
    path = exchange.request.path.rstrip("/")
    counted = path.endswith("/responses/input_tokens")
    if exchange.request.method != "POST" or not (counted or path.endswith("/responses")):
        raise no_translation()
    losses.names = LOSS_NAMES
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadField("invalid_json", "The request's body is not JSON.") from None
    if not isinstance(told, dict):
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    try:
        request = _request(exchange, told, losses)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as fault:
        raise BadField("invalid_request", "The request could not be read.") from fault
    return CountRequest(request=request) if counted else request


def _request(exchange: Exchange, told: dict[str, Any], losses: Losses) -> GenerateRequest:
    for key, why in _REFUSED.items():
        if told.get(key):
            raise BadField("unsupported_parameter", why, key)
    instructions = text(told.get("instructions"), "instructions")
    turns = read_input(told.get("input"), losses)
    own = (Text(text=instructions),) if instructions else ()
    messages = turns.messages
    asked = Asked(told, len(own))
    keep_asked(exchange, asked)
    if not messages and not turns.system and not told.get("previous_response_id"):
        raise BadField("missing_required_parameter", "The request has no 'input'.", "input")
    unread(told, _READ, "", losses)
    return GenerateRequest(
        model=exchange.model or text(told.get("model"), "model"),
        messages=messages,
        system=(*own, *turns.system),
        tools=_tools(told, losses),
        tool_choice=_choice(told.get("tool_choice"), losses),
        format=_format(told, losses),
        thinking=_thinking(told, losses),
        **_plain(told),
        **_logprobs(told, losses),
        **_about(told, losses),
    )


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "parallel_tool_calls": flag(told.get("parallel_tool_calls"), "parallel_tool_calls"),
        "max_tokens": whole(told.get("max_output_tokens"), "max_output_tokens"),
        "temperature": number(told.get("temperature"), "temperature"),
        "top_p": number(told.get("top_p"), "top_p"),
        "verbosity": text(table(told.get("text"), "text").get("verbosity"), "text.verbosity"),
        "streamed": flag(told.get("stream"), "stream") is True,
        "service_tier": text(told.get("service_tier"), "service_tier"),
        "prompt_cache_key": text(told.get("prompt_cache_key"), "prompt_cache_key"),
        "metadata": table(told.get("metadata"), "metadata") or None,
    }


def _logprobs(told: dict[str, Any], losses: Losses) -> dict[str, Any]:
    wanted = array(told.get("include"), "include")
    if any(each not in (_LOGPROBS, _ENCRYPTED) for each in wanted):
        losses.add("include", "only OpenAI's own tools have what is asked for beyond the answer")
    most = whole(told.get("top_logprobs"), "top_logprobs")
    if not most and _LOGPROBS not in wanted:
        return {}
    return {"logprobs": True, "top_logprobs": most or None}


def _about(told: dict[str, Any], losses: Losses) -> dict[str, Any]:
    """Read who asks, and what is asked of the API rather than of the model."""
    user = text(told.get("user"), "user")
    identifier = text(told.get("safety_identifier"), "safety_identifier")
    if identifier:
        losses.names = {**losses.names, "user": "safety_identifier"}
        if user and user != identifier:
            losses.add("user", "safety_identifier is sent instead")
    flag(told.get("store"), "store")
    if text(told.get("truncation"), "truncation") not in ("", "disabled"):
        losses.add("truncation", "the provider refuses what is longer than its window")
    unread(table(told.get("stream_options"), "stream_options"), (), "stream_options", losses)
    return {"user": identifier or user}


def _tools(told: dict[str, Any], losses: Losses) -> tuple[Tool | HostedTool, ...]:
    return tuple(_tool(table(each, "tools[]"), losses) for each in array(told.get("tools"), "tools"))


def _tool(told: dict[str, Any], losses: Losses) -> Tool | HostedTool:
    kind = needed(told.get("type"), "tools[].type")
    if kind == "custom":
        return read_custom(told, losses)
    if kind != "function":
        return HostedTool(origin=ORIGIN, kind=kind, value=told)
    unread(told, ("type", "name", "description", "parameters", "strict"), "tools[]", losses)
    return Tool(
        name=needed(told.get("name"), "tools[].name"),
        description=text(told.get("description"), "tools[].description"),
        schema=table(told.get("parameters"), "tools[].parameters") or None,
        strict=flag(told.get("strict"), "tools[].strict"),
    )


def _choice(told: Any, losses: Losses) -> ToolChoice | None:
    if told is None:
        return None
    if isinstance(told, str):
        return _mode(told, "tool_choice")
    kind = table(told, "tool_choice").get("type")
    if kind in {"function", "custom"}:
        unread(told, ("type", "name"), "tool_choice", losses)
        return ToolChoice(mode="required", names=(needed(told.get("name"), "tool_choice.name"),))
    if kind == "allowed_tools":
        return _allowed(told, losses)
    losses.add("tool_choice", "only functions of the caller's own can be asked for")
    return None


def _allowed(told: dict[str, Any], losses: Losses) -> ToolChoice:
    unread(told, ("type", "mode", "tools"), "tool_choice", losses)
    tools = [table(each, "tool_choice.tools[]") for each in array(told.get("tools"), "tool_choice.tools")]
    names = [
        needed(tool.get("name"), "tool_choice.tools[].name")
        for tool in tools
        if tool.get("type", "function") in {"function", "custom"}
    ]
    if len(names) < len(tools):
        losses.add("tool_choice.tools[]", "only functions of the caller's own can be asked for")
    choice = _mode(told.get("mode", "auto"), "tool_choice.mode")
    return msgspec.structs.replace(choice, names=tuple(names))


def _mode(told: Any, path: str) -> ToolChoice:
    match told:
        case "auto" | "none" | "required":
            return ToolChoice(mode=told)
        case _:
            raise wrong(path, "auto, none or required, or name a tool")


def _format(told: dict[str, Any], losses: Losses) -> Format | None:
    outer = table(told.get("text"), "text")
    unread(outer, ("format", "verbosity"), "text", losses)
    form = table(outer.get("format"), "text.format")
    match form.get("type"):
        case None | "text":
            return None
        case "json_object":
            return Format(kind="json")
        case "json_schema":
            unread(form, ("type", "name", "description", "schema", "strict"), "text.format", losses)
            return Format(
                kind="schema",
                schema=table(form.get("schema"), "text.format.schema"),
                name=text(form.get("name"), "text.format.name"),
                description=text(form.get("description"), "text.format.description"),
                strict=flag(form.get("strict"), "text.format.strict"),
            )
        case _:
            raise wrong("text.format.type", "text, json_object or json_schema")


def _thinking(told: dict[str, Any], losses: Losses) -> Thinking | None:
    how = table(told.get("reasoning"), "reasoning")
    unread(how, ("effort", "summary", "generate_summary"), "reasoning", losses)
    effort = text(how.get("effort"), "reasoning.effort")
    older = text(how.get("generate_summary"), "reasoning.generate_summary")
    show = text(how.get("summary"), "reasoning.summary") or older
    if older and older == show:
        losses.names = {**losses.names, "thinking.show": "reasoning.generate_summary"}
    elif older:
        losses.add("reasoning.generate_summary", "reasoning.summary is sent instead")
    if not effort and not show:
        return None
    return Thinking(enabled=effort != "none" if effort else None, effort=effort, show=show)
