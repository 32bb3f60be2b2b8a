"""What tells that two requests are of one conversation, or of one caller. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange

#: Header fields by which callers name a session: the usual ones, and those of agents that send one unasked.
HEADERS: Final = (b"x-session-id", b"session-id", b"session_id", b"x-conversation-id", b"conversation_id")

#: Bytes of what a conversation begins with that tell it from another: more cost time and tell nothing new.
_LONGEST: Final = 64 * 1024
#: Turns of instructions that are looked at.
_MOST_INSTRUCTIONS: Final = 8

_Raw = msgspec.Raw
_NOTHING: Final = _Raw()


class _Conversation(msgspec.Struct, gc=False):
    """What requests of a conversation begin with, in the words of the four dialects."""

    tools: _Raw = _NOTHING
    system: _Raw = _NOTHING
    instructions: _Raw = _NOTHING
    systemInstruction: _Raw = _NOTHING  # noqa: N815  # the wire's own word
    messages: _Raw = _NOTHING
    contents: _Raw = _NOTHING
    input: _Raw = _NOTHING


class _Session(msgspec.Struct, gc=False):
    """Where callers name a session in the body, or whom they ask for."""

    prompt_cache_key: object = None
    conversation: object = None
    metadata: object = None
    safety_identifier: object = None
    user: object = None


class _Turn(msgspec.Struct, gc=False):
    role: object = None


_turn: Final = msgspec.json.Decoder(_Turn)
_turns: Final = msgspec.json.Decoder(list[_Raw])
_conversation: Final = msgspec.json.Decoder(_Conversation)
_session: Final = msgspec.json.Decoder(_Session)


def key_of(exchange: Exchange, body: bytes, by: Sequence[str]) -> bytes | None:
    """Return what stands for a request's caller or conversation, of the first kind in `by` that it has; None for none.

    The tenant is always in it: what one tenant calls a session is never another's.
    """
    for kind in by:
        found = _found(exchange, body, kind)
        if found:
            digest = blake2b(exchange.caller.tenant.encode(), digest_size=16)
            digest.update(b"\0" + kind.lower().encode() + b"\0" + found)
            return digest.digest()
    return None


def _found(exchange: Exchange, body: bytes, kind: str) -> bytes | None:
    if kind == "tenant":
        return exchange.caller.tenant.encode()
    index = exchange.request.headers.index
    if kind.startswith("header:"):
        return index.get(kind.removeprefix("header:").strip().lower().encode())
    if kind == "prefix":
        return prefix_of(body)
    return next((value for name in HEADERS if (value := index.get(name))), None) or session_of(body)


def session_of(body: bytes) -> bytes | None:
    """Return what a body calls its session: OpenAI's `prompt_cache_key` or conversation, else the user that it names."""
    try:
        told = _session.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    conversation, metadata = told.conversation, told.metadata
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    named = (told.prompt_cache_key, conversation, user, told.safety_identifier, told.user)
    return next((each.encode() for each in named if isinstance(each, str) and each), None)


def prefix_of(body: bytes) -> bytes | None:
    """Return what tells a conversation from another by how it begins: tools, instructions, the first turn."""
    try:
        told = _conversation.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    turns = bytes(told.messages) or bytes(told.contents) or bytes(told.input)
    if not turns:
        return None
    digest = blake2b(digest_size=16)
    for part in (told.tools, told.system, told.instructions, told.systemInstruction, *_first_turns(turns)):
        digest.update(b"%d:" % len(memoryview(part)))
        digest.update(memoryview(part)[:_LONGEST])
    return digest.digest()


def _first_turns(conversation: bytes) -> Sequence[_Raw | bytes]:
    """Return what a conversation begins with and keeps: instructions among its turns, and the first other one."""
    try:
        turns = _turns.decode(conversation)
    except msgspec.DecodeError:
        return (conversation,)  # a single text
    for count, turn in enumerate(turns[:_MOST_INSTRUCTIONS], 1):
        try:
            role = _turn.decode(turn).role
        except msgspec.DecodeError:
            role = None
        if role not in ("system", "developer"):
            return turns[:count]
    return turns[:_MOST_INSTRUCTIONS]
