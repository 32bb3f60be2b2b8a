"""Blocks of an answer as servers that only resemble Anthropic write them, put right where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import orjson


def settled(block: Any) -> Any:
    """Return a block whose texts are texts, and whose input is an object if it can be one."""
    kind = block.get("type") if type(block) is dict else None
    if kind == "tool_use":
        return {**block, "id": _name(block.get("id")), "input": _input(block.get("input"))}
    if kind == "thinking":
        return {**block, "thinking": _text(block.get("thinking")), "signature": _text(block.get("signature"))}
    if kind == "text" and block.get("text", "") is None:
        return {**block, "text": ""}
    return block


def _name(given: Any) -> str | None:
    return str(given) if type(given) in (str, int) else None


def _text(given: Any) -> str:
    return given if type(given) is str else ""


def _input(given: Any) -> Any:
    """Return what is told of an input, which some write as JSON text; nothing is said by what is empty."""
    if type(given) is not str:
        return given or {}
    try:
        return orjson.loads(given) if given.strip() else {}
    except orjson.JSONDecodeError:
        return given
