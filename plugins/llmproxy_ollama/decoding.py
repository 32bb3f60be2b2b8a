"""A caller's request for text in the canonical form: `/api/chat` and `/api/generate`."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import (
    Block,
    Format,
    GenerateRequest,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
)
from llmproxy.plugin import BadRequest
from llmproxy_ollama.fields import count, flag, lose_rest, members, objects, text, texts, wrong
from llmproxy_ollama.options import read_options
from llmproxy_ollama.pictures import read_picture
from llmproxy_ollama.turns import Turns

_COMMON: Final = frozenset(
    {"model", "stream", "options", "format", "think", "logprobs", "top_logprobs", "keep_alive"}
)
#: What is meant for the server's housekeeping, and what became of it.
_KEEPING: Final = "nothing is loaded for one caller elsewhere"
_CHAT: Final = _COMMON | {"messages", "tools"}
_GENERATE: Final = _COMMON | {"prompt", "system", "images", "suffix", "context", "raw", "template"}
_FUNCTION: Final = "tools[].function."
_EFFORTS: Final = frozenset({"low", "medium", "high", "max"})


def decode_chat(told: dict[str, Any], losses: Losses, *, streamed: bool) -> GenerateRequest:
    """Read a request of `/api/chat`; report what the canonical form cannot hold."""
    lose_rest(told, _CHAT, "", losses)
    turns = Turns(losses)
    for place, message in enumerate(objects(told, "messages")):
        turns.take(message, f"messages[{place}].")
    return GenerateRequest(
        messages=tuple(turns.messages),
        system=tuple(turns.system),
        tools=tuple(_tool(each, losses) for each in objects(told, "tools")),
        **_settings(told, losses, streamed=streamed),
    )


def decode_generate(told: dict[str, Any], losses: Losses, *, streamed: bool) -> GenerateRequest:
    """Read a request of `/api/generate`.

    Raises:
        BadRequest: it continues tokens that only the model itself knows, or wants the middle of a text.
    """
    lose_rest(told, _GENERATE, "", losses)
    if told.get("context"):
        raise BadRequest(
            "not_translatable", "'context' holds a model's own tokens; another cannot read them."
        )
    if text(told, "suffix"):
        raise BadRequest(
            "not_translatable", "'suffix' asks for the middle of a text, which chats cannot give."
        )
    if flag(told, "raw"):
        losses.add("raw", "the prompt stands in the model's own template")
    if text(told, "template"):
        losses.add("template", "the prompt stands in the model's own template")
    system, prompt = text(told, "system"), text(told, "prompt")
    blocks: list[Block] = [Text(text=prompt)] if prompt else []
    blocks += map(read_picture, texts(told, "images"))
    return GenerateRequest(
        messages=(Message(role="user", content=tuple(blocks)),) if blocks else (),
        system=(Text(text=system),) if system else (),
        **_settings(told, losses, streamed=streamed),
    )


def _settings(told: dict[str, Any], losses: Losses, *, streamed: bool) -> dict[str, Any]:
    if told.get("keep_alive") is not None:
        losses.add("keep_alive", _KEEPING)
    return {
        "model": text(told, "model"),
        "streamed": streamed,
        "format": _format(told.get("format")),
        "thinking": _thinking(told.get("think")),
        "logprobs": flag(told, "logprobs") or None,
        "top_logprobs": count(told, "top_logprobs"),
        **read_options(told, losses),
    }


def _format(value: Any) -> Format | None:
    if value is None or value == "":
        return None
    if value == "json":
        return Format("json")
    if isinstance(value, dict):
        return Format("schema", value)
    raise wrong("format", "'json' or a JSON schema")


def _thinking(value: Any) -> Thinking | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return Thinking(value)
    if isinstance(value, str) and value in _EFFORTS:
        return Thinking(enabled=True, effort=value)
    raise wrong("think", "true, false, 'low', 'medium', 'high' or 'max'")


def _tool(told: dict[str, Any], losses: Losses) -> Tool:
    lose_rest(told, frozenset({"type", "function"}), "tools[].", losses)
    function = members(told, "function", "tools[].")
    lose_rest(function, frozenset({"name", "description", "parameters", "strict"}), _FUNCTION, losses)
    name = text(function, "name", _FUNCTION)
    if not name:
        raise wrong(f"{_FUNCTION}name", "a string that is not empty")
    schema = members(function, "parameters", _FUNCTION) if "parameters" in function else None
    return Tool(name=name, description=text(function, "description", _FUNCTION), schema=schema or None)
