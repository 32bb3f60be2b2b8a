"""Parts of a content, as blocks: what callers send back, and what providers answer."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import orjson

from llmproxy.canonical import Block, Foreign, Losses, Reasoning, Text, ToolCall, ToolResult
from llmproxy_gemini.fields import bad, items, lose_rest, members, text, word
from llmproxy_gemini.media import read_file, read_inline
from llmproxy_gemini.signing import read_signature, read_thought

_DIALECT: Final = "gemini"
_PART: Final = "contents[].parts[]"
_MARKS: Final = frozenset({"thought", "thoughtSignature"})
# What the provider runs itself, and only it can read.
_RUN: Final = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})
_KINDS: Final = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse", *_RUN})
_CALL: Final = frozenset({"id", "name", "args"})
_RESULT: Final = frozenset({"id", "name", "response", "parts"})
# Where a tool's plain result stands that had to be an object (the first two are Google's own names).
_WRAPPINGS: Final = frozenset({"output", "result", "return_value", "content", "response"})
_ERROR: Final = "error"


def made_id(*told: object) -> str:
    """Return the id of a call that came without one: the same for the same call at the same place."""
    digest = hashlib.blake2b(digest_size=10)
    for each in told:
        digest.update(f"{each}\0".encode("utf-8", "surrogatepass"))
    return f"call_{digest.hexdigest()}"


class Calls:
    """The calls of a conversation so far: results name them by id, or by the function's name and their order.

    `seed` tells this conversation's calls from those of others.
    """

    __slots__ = ("_count", "_found", "_open", "_seed")

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._open: dict[int, tuple[str, str]] = {}
        #: Where calls stand that can be found by one thing, in their order; those that are answered may still be there.
        self._found: dict[tuple[str, str], deque[int]] = {}
        self._count = 0

    def opened(self, name: str, given: str, arguments: str) -> str:
        """Note a call; return its id."""
        self._count += 1
        told = given or made_id(self._seed, self._count, name, arguments)
        self._open[self._count] = told, name
        for key in (("id", told), ("name", name), ("any", ""), *(() if given else (("made", name),))):
            self._found.setdefault(key, deque()).append(self._count)
        return told

    def answered(self, name: str, given: str) -> tuple[str, str]:
        """Note a result; return the id and the name of the call that it answers."""
        keys = [("id", given), ("made", name)] if given else [("name", name)]
        if not (given or name):
            keys.append(("any", ""))
        places = [place for key in keys if (place := self._first(key))]
        if places:
            return self._open.pop(min(places) if given else places[0])
        self._count += 1
        return given or made_id(self._seed, self._count, name), name

    def _first(self, key: tuple[str, str]) -> int:
        """Return the place of the first open call of that kind, or 0."""
        found = self._found.get(key, _NONE)
        while found and found[0] not in self._open:
            found.popleft()
        return found[0] if found else 0


_NONE: Final[deque[int]] = deque()


def read_parts(parts: object, calls: Calls, losses: Losses, where: str = _PART) -> tuple[Block, ...]:
    """Return the blocks of a list of parts; a signature that came on an empty text belongs to the text before it."""
    blocks: list[Block] = []
    for part in items(parts, where.removesuffix("[]")):
        block = read_part(part, calls, losses, where)
        if block is None:
            continue
        signed = bool(isinstance(block, Text | Reasoning) and not block.text and block.signature)
        last = blocks[-1] if blocks else None
        if signed and last is not None and type(last) is type(block) and not getattr(last, "signature", ""):
            changes: Any = {"signature": getattr(block, "signature", "")}
            if isinstance(block, Reasoning):
                changes |= {"origin": block.origin, "redacted": block.redacted, "id": block.id}
            blocks[-1] = msgspec.structs.replace(last, **changes)
        else:
            blocks.append(block)
    return tuple(blocks)


def read_part(part: object, calls: Calls, losses: Losses, where: str = _PART) -> Block | None:
    """Return the block of one part; None where it holds nothing."""
    if isinstance(part, str):
        return Text(text=part) if part else None
    told = members(part, where)
    if len(told) > 1 or "text" not in told:
        lose_rest(told, _MARKS | _KINDS, where, losses)
    signature = word(told, "thoughtSignature", where)
    if "text" not in told and (told.keys() & _RUN or (told.get("thought") and told.keys() & _KINDS)):
        return Foreign(origin=_DIALECT, value=told)
    if "functionCall" in told:
        return read_call(told["functionCall"], signature, calls, losses, f"{where}.functionCall")
    if "functionResponse" in told:
        return _result(told["functionResponse"], calls, losses, f"{where}.functionResponse")
    for key, read in (("inlineData", read_inline), ("fileData", read_file)):
        if key in told:
            return read(told[key], f"{where}.{key}", losses)
    return _text(told, signature, where, losses)


def _text(told: dict[str, Any], signature: str, where: str, losses: Losses) -> Block | None:
    said = word(told, "text", where)
    if not (said or signature):
        if told.get("thought"):
            losses.add(f"{where}.thought", "an empty thought says nothing")
        return None
    if told.get("thought"):
        return read_thought(said, signature)
    signature, origin = read_signature(signature)
    if not signature or origin != _DIALECT:
        return Text(text=said)
    losses.add(f"{where}.thoughtSignature", "only Gemini can read what it signed")
    return Text(text=said, signature=signature)


def read_call(value: object, signature: str, calls: Calls, losses: Losses, where: str) -> ToolCall:
    """Return a call; arguments that it does not bring are none."""
    told = members(value, where)
    lose_rest(told, _CALL, where, losses)
    arguments = told.get("args", {})
    if not isinstance(arguments, dict):
        raise bad(f"{where}.args", "an object")
    name, written = word(told, "name", where), orjson.dumps(arguments).decode() if arguments else "{}"
    signature, origin = read_signature(signature)
    return ToolCall(
        id=calls.opened(name, word(told, "id", where), written),
        name=name,
        arguments=written,
        signature=signature if origin == _DIALECT else "",
    )


def _result(value: object, calls: Calls, losses: Losses, where: str) -> ToolResult:
    told = members(value, where)
    lose_rest(told, _RESULT, where, losses)
    response = told.get("response", {})
    if not isinstance(response, dict):
        raise bad(f"{where}.response", "an object")
    given, name = calls.answered(word(told, "name", where), word(told, "id", where))
    said, failed = _unwrapped(response)
    content: list[Block] = [] if said is None else [Text(text=said)]
    content += _attached(items(told.get("parts"), f"{where}.parts"), losses, f"{where}.parts[]")
    return ToolResult(id=given, name=name, content=tuple(content), is_error=failed)


def _unwrapped(response: dict[str, Any]) -> tuple[str | None, bool]:
    """Return what a tool gave, without the object that Gemini wants around it, and whether it failed."""
    if not response:
        return None, False
    if len(response) == 1:
        ((key, value),) = response.items()
        if key == _ERROR:
            return value if isinstance(value, str) else orjson.dumps(value).decode(), True
        if key in _WRAPPINGS:
            return value if isinstance(value, str) else orjson.dumps(value).decode(), False
    return orjson.dumps(response).decode(), False


def _attached(parts: Iterable[object], losses: Losses, where: str) -> Iterable[Block]:
    for part in parts:
        told = members(part, where)
        lose_rest(told, frozenset({"inlineData", "fileData"}), where, losses)
        if "inlineData" in told:
            yield read_inline(told["inlineData"], f"{where}.inlineData", losses)
        elif "fileData" in told:
            yield read_file(told["fileData"], f"{where}.fileData", losses)


def joined_text(parts: object, losses: Losses, where: str) -> list[Text]:
    """Return the texts of parts that may hold nothing else."""
    found = []
    for part in items(parts, where.removesuffix("[]")):
        if isinstance(part, str):
            found.append(Text(text=part))
            continue
        told = members(part, where)
        lose_rest(told, frozenset({"text"}), where, losses, "only text can stand here")
        if told.get("text"):
            found.append(Text(text=text(told["text"], f"{where}.text")))
    return found
