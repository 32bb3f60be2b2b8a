"""Writes a canonical request as a Messages body.

Members stand in a fixed order, messages last, so that a conversation's next request begins with the bytes of the one
before. The version sent is the one that takes all that is written here: since 2026-10-21 Anthropic refuses sampling
parameters and some blocks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.canonical import CountRequest, GenerateRequest, HostedTool, Losses, Tool
from llmproxy.canonical.claude import Traits, traits_of
from llmproxy.canonical.schemas import asked_in_words, taken
from llmproxy.plugin import UpstreamRequest, carried_headers
from llmproxy_anthropic.deliberation import write_thinking
from llmproxy_anthropic.thoughts import OWN
from llmproxy_anthropic.turns import write_turns
from llmproxy_anthropic.writing import Written, cache_control, write_text

if TYPE_CHECKING:
    from llmproxy.canonical import Format, ModelRequest, ToolChoice
    from llmproxy.plugin import ClientRequest

VERSION: Final = b"2023-06-01"
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_ORDER: Final = (
    "model",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
    "tools",
    "tool_choice",
    "system",
    "messages",
)
_COUNTED: Final = frozenset(
    {"model", "thinking", "output_config", "tools", "tool_choice", "system", "messages"}
)
# What Anthropic has no place for, each with the value that asks for nothing.
_UNSAYABLE: Final = (
    ("aspect", ""),
    ("resolution", ""),
    ("voice", ""),
    ("min_p", None),
    ("seed", None),
    ("frequency_penalty", None),
    ("presence_penalty", None),
    ("logit_bias", None),
    ("logprobs", None),
    ("top_logprobs", None),
    ("verbosity", ""),
    ("metadata", None),
    ("prompt_cache_key", ""),
)
#: What every server of this dialect takes as a user's name.
_USER: Final = re.compile("[a-zA-Z0-9_-]{1,128}")


def encode_request(
    caller: ClientRequest, model: str, request: ModelRequest, losses: Losses
) -> UpstreamRequest | None:
    """Return the wire request; None for embeddings, which Anthropic does not make."""
    if isinstance(request, CountRequest):
        target = "/messages/count_tokens"
    elif isinstance(request, GenerateRequest):
        target = "/messages"
    else:
        return None
    wire = wrap_request(caller, model, request, losses, target)
    wire.headers.raw.append((b"anthropic-version", VERSION))
    return wire


def wrap_request(
    caller: ClientRequest,
    model: str,
    request: GenerateRequest | CountRequest,
    losses: Losses,
    target: str,
    *,
    drop: Collection[str] = (),
    put: Mapping[str, object] = MappingProxyType({}),
) -> UpstreamRequest:
    """Return the wire request in an envelope: without some members of the body, with others before the rest."""
    if isinstance(request, CountRequest):
        whole = write_body(model, request.request, Losses())
        body = {key: value for key, value in whole.items() if key in _COUNTED}
    else:
        body = write_body(model, request, losses)
    body = {**put, **{key: value for key, value in body.items() if key not in drop}}
    headers = carried_headers(caller)
    headers.raw.append((b"Content-Type", b"application/json"))
    return UpstreamRequest("POST", target, headers, orjson.dumps(body))


def write_body(model: str, request: GenerateRequest, losses: Losses) -> dict[str, Any]:
    """Write the members of a Messages request."""
    traits = traits_of(model)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": traits.max_tokens if request.max_tokens is None else request.max_tokens,
        "messages": write_turns(request.messages, losses, late_system=traits.late_system),
    }
    system = _system(request, losses)
    _tools(request, body, traits, losses)
    _format(request.format, body, system, traits, losses)
    if system and not body["messages"]:
        losses.lose(
            "system", "instructions alone stand as the user's turn, without which nothing is answered"
        )
        body["messages"] = [{"role": "user", "content": system}]
    elif system:
        body["system"] = system
    write_thinking(request, body, traits, losses)
    _sampling(request, body, traits, losses)
    _rest(request, body, losses)
    return {key: body[key] for key in _ORDER if key in body}


def _system(request: GenerateRequest, losses: Losses) -> list[Written]:
    blocks = [write_text(block, losses) for block in request.system]
    return [block for block in blocks if block is not None]


def _tools(request: GenerateRequest, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    written = [_tool(tool, traits, losses) for tool in request.tools]
    tools = [tool for tool in written if tool is not None]
    if not tools:
        if request.tool_choice is not None and request.tool_choice.mode == "required":
            losses.lose("tool_choice", "there are no tools to choose from")
        return
    body["tools"] = tools
    choice = _choice(request.tool_choice, losses)
    if request.parallel_tool_calls is False:
        choice = choice or {"type": "auto"}
    if choice is not None:
        if request.parallel_tool_calls is not None and choice["type"] != "none":
            choice["disable_parallel_tool_use"] = not request.parallel_tool_calls
        body["tool_choice"] = choice


def _tool(tool: Tool | HostedTool, traits: Traits, losses: Losses) -> Written | None:
    if isinstance(tool, HostedTool):
        if tool.origin == OWN:
            return tool.value
        losses.lose("tools.hosted", "only its own provider runs it")
        return None
    written: Written = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    schema = tool.schema or {"type": "object", "properties": {}}
    written["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    if tool.strict is not None:
        if not tool.strict or (traits.schemas and taken(schema) == schema):
            written["strict"] = tool.strict
        else:
            losses.lose("tools.strict", "the model cannot be held to this schema")
    if tool.cache is not None:
        written["cache_control"] = cache_control(tool.cache)
    return written


def _choice(choice: ToolChoice | None, losses: Losses) -> Written | None:
    if choice is None:
        return None
    if len(choice.names) == 1 and choice.mode == "required":
        return {"type": "tool", "name": choice.names[0]}
    if choice.names and choice.mode != "none":
        losses.lose("tool_choice.names", "any of the tools may be called")
    return {"type": "any" if choice.mode == "required" else choice.mode}


def _format(
    form: Format | None, body: dict[str, Any], system: list[Written], traits: Traits, losses: Losses
) -> None:
    if form is None:
        return
    for name in ("name", "description"):
        if getattr(form, name):
            losses.lose(f"format.{name}")
    if form.strict is False:
        losses.lose("format.strict", "a schema is always kept to")
    if form.kind == "schema" and form.schema is not None and traits.schemas:
        schema = taken(form.schema)
        if schema is not form.schema:
            losses.lose(
                "format.schema", "what Anthropic's schemas cannot say of it became part of the descriptions"
            )
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return
    system.append({"type": "text", "text": asked_in_words(form, losses)})


def _sampling(request: GenerateRequest, body: dict[str, Any], traits: Traits, losses: Losses) -> None:
    wanted = [
        (name, value)
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(request, name)) is not None
    ]
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    for name, value in wanted:
        if not traits.sampling:
            losses.lose(name, "the model takes no sampling parameters")
        elif thinks and not _goes_with_thinking(name, value):
            losses.lose(name, "it does not go with thinking")
        elif name == "top_p" and "temperature" in body and not traits.both_samplings:
            losses.lose(name, "the model takes temperature or top_p, not both")
        elif name == "temperature" and value > 1:
            losses.lose(name, "it was lowered to 1, the most there is")
            body[name] = 1
        else:
            body[name] = value


def _goes_with_thinking(name: str, value: float) -> bool:
    return (name == "temperature" and value == 1) or (name == "top_p" and value >= 0.95)


def _rest(request: GenerateRequest, body: dict[str, Any], losses: Losses) -> None:
    if request.streamed:
        body["stream"] = True
    stop = [text for text in request.stop if text.strip()]
    if stop:
        body["stop_sequences"] = stop
    if len(stop) < len(request.stop):
        losses.lose("stop", "sequences of nothing but space are refused")
    if request.user:
        body["metadata"] = {"user_id": _user(request.user, losses)}
    if request.service_tier in _TIERS:
        body["service_tier"] = _TIERS[request.service_tier]
    elif request.service_tier:
        losses.lose("service_tier", "Anthropic has no such tier")
    _unsayable(request, losses)


def _user(user: str, losses: Losses) -> str:
    """Return an opaque name: Anthropic refuses addresses, and servers of its dialect anything but a plain word."""
    if _USER.fullmatch(user):
        return user
    losses.lose("user", "not a plain word, and told as its digest")
    return blake2b(user.encode("utf-8", "replace"), digest_size=32).hexdigest()


def _unsayable(request: GenerateRequest, losses: Losses) -> None:
    if request.n is not None and request.n > 1:
        losses.lose("n", "one answer is given")
    if any(kind != "text" for kind in request.modalities):
        losses.lose("modalities", "Anthropic's models answer in text")
    for name, nothing in _UNSAYABLE:
        if getattr(request, name) != nothing:
            losses.lose(name)
