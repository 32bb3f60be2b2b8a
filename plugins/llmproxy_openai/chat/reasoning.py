"""Thoughts in messages: `reasoning_content` or `reasoning` as text, `reasoning_details` with what proves them.

The details are OpenRouter's: a list of items {type: reasoning.text | reasoning.summary | reasoning.encrypted}, each with
the `format` of the provider that made it. What this writes, a server of that kind reads, and the other way about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from llmproxy.canonical import Reasoning, unpack_signature

_FORMATS: Final = {
    "anthropic": "anthropic-claude-v1",
    "openai": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "xai": "xai-responses-v1",
}
_UNKNOWN: Final = "unknown"
_ORIGINS: Final = {form: origin for origin, form in _FORMATS.items()}


def read_reasoning(message: dict[str, Any]) -> list[Reasoning]:
    """Return the thoughts of a message or of a piece of one; what is no thought is passed over."""
    details = message.get("reasoning_details")
    blocks = read_details(details) if type(details) is list else []
    if any(block.text for block in blocks):
        return blocks
    said = message.get("reasoning_content") or message.get("reasoning")
    return [Reasoning(said), *blocks] if type(said) is str and said else blocks


def read_details(details: list[Any]) -> list[Reasoning]:
    """Read `reasoning_details`; pieces of one index are one thought, and so is what stands under one id."""
    blocks: list[Reasoning] = []
    last: dict[str, Any] = {}
    for item in details:
        if type(item) is not dict:
            continue
        block = read_detail(item)
        if blocks and _goes_on(last, item) and _fit(blocks[-1], block):
            blocks[-1] = _joined(blocks[-1], block)
        elif block.text or block.signature or block.redacted:
            blocks.append(block)
        last = item
    return blocks


def _goes_on(last: dict[str, Any], item: dict[str, Any]) -> bool:
    index, name = item.get("index"), item.get("id")
    if index is not None and index == last.get("index"):
        return name is None or name == last.get("id")
    return name is not None and name == last.get("id") and item.get("type") == "reasoning.encrypted"


def read_detail(item: dict[str, Any]) -> Reasoning:
    """Read one item."""
    form = _text(item, "format")
    origin = _ORIGINS.get(form, "" if form == _UNKNOWN else form)
    name = _text(item, "id")
    if item.get("type") == "reasoning.encrypted":
        data, origin = unpack_signature(_text(item, "data"), origin)
        return Reasoning(redacted=data, origin=origin, id=name)
    signature, origin = unpack_signature(_text(item, "signature"), origin)
    if item.get("type") == "reasoning.summary":
        return Reasoning(_text(item, "summary"), signature, origin=origin, summary=True, id=name)
    return Reasoning(_text(item, "text"), signature, origin=origin, id=name)


def _fit(first: Reasoning, second: Reasoning) -> bool:
    return second.origin in ("", first.origin) and not first.redacted


def _joined(first: Reasoning, second: Reasoning) -> Reasoning:
    return msgspec.structs.replace(
        first,
        text=first.text + second.text,
        signature=first.signature + second.signature,
        redacted=second.redacted,
    )


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if type(value) is str else ""


def is_proven(block: Reasoning) -> bool:
    """Say whether a thought holds more than its text."""
    return bool(block.signature or block.redacted or block.id)


def write_detail(block: Reasoning, index: int) -> list[dict[str, Any]]:
    """Write one thought as items, the first of them at `index` of the list."""
    items: list[dict[str, Any]] = []
    if block.text or block.signature:
        items.append(_told(block) | _of(block, index))
    if block.redacted:
        sealed = {"type": "reasoning.encrypted", "data": block.redacted}
        items.append(sealed | _of(block, index + len(items)))
    return items


def _told(block: Reasoning) -> dict[str, Any]:
    kind, key = ("reasoning.summary", "summary") if block.summary else ("reasoning.text", "text")
    told = {"type": kind, key: block.text}
    return told | {"signature": block.signature} if block.signature else told


def _of(block: Reasoning, index: int) -> dict[str, Any]:
    told = {"id": block.id} if block.id else {}
    return {**told, "format": _FORMATS.get(block.origin, block.origin or _UNKNOWN), "index": index}


def write_piece(block: Reasoning, index: int, *, first: bool) -> dict[str, Any]:
    """Write a piece of a streamed thought.

    Only the first says whose it is: OpenAI's SDK puts pieces of one index together by joining all their texts.
    """
    return _told(block) | (_of(block, index) if first else {"index": index})


def write_details(blocks: Iterable[Reasoning]) -> list[dict[str, Any]]:
    """Write thoughts as `reasoning_details`; each item's index is its place, which OpenAI's SDK counts on."""
    items: list[dict[str, Any]] = []
    for block in blocks:
        items += write_detail(block, len(items))
    return items
