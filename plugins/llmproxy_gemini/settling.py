"""Parts of an answer as servers that only resemble Gemini write them, put right where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import orjson


def settled(part: Any) -> Any:
    """Return a part with arguments that are an object, an id that is a text, and no signature that is none."""
    if type(part) is not dict:
        return part
    signature, call = part.get("thoughtSignature"), part.get("functionCall")
    if not (signature is None or type(signature) is str):
        part = {**part, "thoughtSignature": None}
    if type(call) is dict and not (type(call.get("args")) is dict and type(call.get("id")) is str):
        part = {
            **part,
            "functionCall": {**call, "args": _object(call.get("args")), "id": _name(call.get("id"))},
        }
    return part


def _object(arguments: Any) -> Any:
    """Return what is told of arguments, which some write as JSON text; nothing is said by what is empty."""
    if type(arguments) is not str:
        return arguments or None
    try:
        return orjson.loads(arguments) if arguments.strip() else None
    except orjson.JSONDecodeError:
        return arguments


def _name(given: Any) -> str | None:
    return str(given) if type(given) in (str, int) else None
