"""Calls of tools, where a dialect takes their id or their arguments in a form of its own."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from llmproxy.canonical.losses import Losses

_WHOLE_NUMBER: Final = re.compile(r"(?<=\d)\.0(?!\d)")


def fitting_id(name: str, fits: re.Pattern[str], lead: str) -> str:
    """Return the caller's id if a provider takes it, or one made from it behind `lead`: the same each time."""
    if fits.fullmatch(name):
        return name
    return lead + hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=12).hexdigest()


def arguments_object(arguments: str, losses: Losses | None = None) -> dict[str, Any]:
    """Return a call's arguments as the object that some dialects want; what is none is put into one, a loss."""
    try:
        told = orjson.loads(arguments.strip() or "{}")
    except orjson.JSONDecodeError:
        told = arguments
    if isinstance(told, dict):
        return told
    if told is None:
        return {}
    if losses is not None:
        losses.lose("tool_call.arguments", "arguments that are no JSON object were put into one")
    return {"arguments": told}


def one_spelling(arguments: str) -> str:
    """Return arguments as they are alike after being read and written anew: JavaScript writes 1.0 as 1."""
    try:
        text = orjson.dumps(orjson.loads(arguments or "{}"), option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        text = arguments
    return _WHOLE_NUMBER.sub("", text)
