"""Signatures on the wire: Gemini's own as they are; those of other families packed, in base64 as the field demands.

A thought that is not Gemini's also brings what else its provider wants back, under the same cover.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from llmproxy.canonical import Reasoning, pack_signature, unpack_signature

_DIALECT: Final = "gemini"
#: How every packed signature begins once it is in base64.
_MARK: Final = base64.b64encode(pack_signature("", "")[:9].encode()).decode()
_WHOLE: Final = "+whole"
_decoder: Final = msgspec.json.Decoder(Reasoning)


def read_signature(value: str) -> tuple[str, str]:
    """Return a signature and its origin."""
    if not value.startswith(_MARK):
        return value, _DIALECT
    padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
    try:
        packed = base64.b64decode(padded.translate(_STANDARD), validate=True).decode()
    except ValueError:  # no base64, or no text in it
        return value, _DIALECT
    return unpack_signature(packed, _DIALECT)


_STANDARD: Final = str.maketrans("-_", "+/")


def write_signature(signature: str, origin: str) -> str:
    """Return a signature as it stands in a part."""
    if not signature or origin in ("", _DIALECT):
        return signature
    return base64.b64encode(pack_signature(signature, origin).encode()).decode()


def read_thought(text: str, value: str) -> Reasoning:
    """Return a thought with what its signature brings."""
    signature, origin = read_signature(value)
    if not origin.endswith(_WHOLE):
        return Reasoning(text=text, signature=signature, origin=origin)
    try:
        kept = _decoder.decode(signature)
    except msgspec.DecodeError:
        return Reasoning(text=text, origin=_DIALECT)
    return msgspec.structs.replace(kept, text=text)


def thought_signature(thought: Reasoning) -> str:
    """Return the signature of a thought as it stands in a part, or an empty text."""
    if thought.origin in ("", _DIALECT):
        return thought.signature
    if not (thought.redacted or thought.id):
        return write_signature(thought.signature, thought.origin)
    whole = msgspec.json.encode(msgspec.structs.replace(thought, text="")).decode()
    return write_signature(whole, thought.origin + _WHOLE)
