"""Calls of tools as messages hold them, and their ids."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from llmproxy.canonical import Foreign, ToolCall

#: OpenAI refuses longer ids.
_LONGEST_ID: Final = 40
_NINE: Final = 9
#: The members of a custom call's item that mean something to a chat completion, or nothing at all.
CUSTOM_CALL: Final = frozenset({"type", "call_id", "name", "input", "id", "status"})


def made_up_id(*parts: object) -> str:
    """Return an id for a call that came without one: the same for the same call, so that prefixes stay equal."""
    return "call_" + _digest("\0".join(map(str, parts)))


def fitting_id(name: str, *, nine: bool) -> str:
    """Return an id as the provider takes it; the same for a call and for its result."""
    if nine:
        fits = len(name) == _NINE and name.isascii() and name.isalnum()
        return name if fits else _digest(name)[:_NINE]
    return name if 0 < len(name) <= _LONGEST_ID else made_up_id(name)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def arguments_text(value: object) -> str:
    """Return arguments as JSON text, whatever a server sent: text, an object, or nothing for none."""
    if type(value) is str:
        return value if value.strip() else "{}"
    return "{}" if value is None else orjson.dumps(value).decode()


def is_object(arguments: str) -> bool:
    """Say whether arguments are what they should be."""
    try:
        return type(orjson.loads(arguments)) is dict
    except orjson.JSONDecodeError:
        return False


def signature_of(item: dict[str, Any]) -> str:
    """Return Gemini's signature, as its own OpenAI-like API hangs it on a call or a message."""
    extra = item.get("extra_content")
    google = extra.get("google") if type(extra) is dict else None
    signature = google.get("thought_signature") if type(google) is dict else None
    return signature if type(signature) is str else ""


def signed(signature: str) -> dict[str, Any]:
    """Return what carries Gemini's signature."""
    return {"google": {"thought_signature": signature}}


def read_custom(name: str, custom: dict[str, Any]) -> Foreign:
    """Read a call of a tool that takes free text; its canonical value is the Responses API's item."""
    value = {
        "type": "custom_tool_call",
        "call_id": name,
        "name": _text(custom, "name"),
        "input": _text(custom, "input"),
    }
    return Foreign("openai", value)


def write_call(call: ToolCall, *, name: str | None = None) -> dict[str, Any]:
    """Write a call, under another id if one is given."""
    item: dict[str, Any] = {
        "id": call.id if name is None else name,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature:
        item["extra_content"] = signed(call.signature)
    return item


def write_custom(foreign: Foreign) -> dict[str, Any] | None:
    """Write a call of a tool that takes free text; None where it is something else."""
    value = foreign.value
    if foreign.origin != "openai" or value.get("type") != "custom_tool_call":
        return None
    told = {"name": _text(value, "name"), "input": _text(value, "input")}
    return {"id": _text(value, "call_id"), "type": "custom", "custom": told}


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if type(value) is str else ""
