"""One key for all dialects: what a request means, whatever words it came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    CountRequest,
    EmbedRequest,
    GenerateRequest,
    Losses,
    MediaRequest,
    RerankRequest,
)
from llmproxy.plugin import Exchange, GatewayError

#: Values that say no more than nothing, by field; and what no dialect's answer depends on.
_DEFAULTS: Final[dict[str, tuple[Any, ...]]] = {
    "n": (1,),
    "temperature": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "parallel_tool_calls": (True,),
    "tool_choice": ({"type": "ToolChoice", "mode": "auto"},),
    "modalities": (["text"],),
    "encoding": ("float",),
}
_DROPPED: Final = frozenset(
    {"model", "streamed", "include_usage", "user", "metadata", "service_tier", "prompt_cache_key", "single"}
)
_PROMPT_ROLES: Final = frozenset({"user", "system"})


def crossed(exchange: Exchange, body: bytes, text: Callable[[str], str]) -> bytes | None:
    """Return what a request means in no dialect's words; None where some of it has no place there.

    What is counted keeps its dialect: counts differ in what they count. So do pictures and sound, made anew each time.
    """
    face = exchange.client_face
    if face is None:
        return None
    losses = Losses(face.loss_names)
    try:
        request = face.decode_request(exchange, body, losses)
    except (GatewayError, ValueError, RecursionError):
        return None
    if len(losses) or isinstance(request, CountRequest | MediaRequest):
        return None
    try:
        return orjson.dumps(_meaning(request, text), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None


def _meaning(
    request: GenerateRequest | EmbedRequest | RerankRequest, text: Callable[[str], str]
) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(request)
    meaning: dict[str, Any] = {
        name: int(value) if type(value) is float and value.is_integer() else value
        for name, value in told.items()
        if name not in _DROPPED and not (name in _DEFAULTS and value in _DEFAULTS[name])
    }
    if isinstance(request, EmbedRequest):
        meaning["inputs"] = [text(each) if type(each) is str else each for each in meaning["inputs"]]
    _pieces(meaning.get("system"), text)
    for message in meaning.get("messages", ()):
        _pieces(message.get("content"), text if message.get("role") in _PROMPT_ROLES else None)
    _pieces(meaning.get("tools"), None)
    meaning["asks"] = type(request).__name__
    return meaning


def _pieces(pieces: Any, text: Callable[[str], str] | None) -> None:
    """Take cache marks off, and normalise texts, in place."""
    for piece in pieces or ():
        piece.pop("cache", None)
        if piece.get("type") == "Text" and text is not None:
            piece["text"] = text(piece["text"])
        elif piece.get("type") == "ToolResult":
            _pieces(piece.get("content"), None)
