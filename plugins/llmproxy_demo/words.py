"""How the model reads and writes: words, tokens, vectors, all from the text alone."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

_TOKEN = re.compile(r"\w+|[^\w\s]")
_BLOCK = 1024
_PIECE = re.compile(r"\s*\S+\s*\Z|\s*\S+|\s+\Z")


def count_tokens(text: str) -> int:
    """Count tokens: each run of letters and digits is one, each other visible character is one."""
    return sum(1 for _ in _TOKEN.finditer(text))


def pieces(text: str) -> list[str]:
    """Cut a text into its words, each with the space before it; joined they are the text."""
    return _PIECE.findall(text)


def filled(text: str, size: int) -> list[str]:
    """Repeat a text to exactly `size` bytes of UTF-8, in pieces of about 1 KiB that end where words do.

    Full stops stand where a character would not fit.
    """
    unit = (text or "echo") + " "
    block = unit * -(-_BLOCK // len(unit.encode()))
    count, rest = divmod(size, len(block.encode()))
    tail = block.encode()[:rest].decode("utf-8", "ignore")
    tail += "." * (rest - len(tail.encode()))
    return [block] * count + [tail] * bool(tail)


def vector(text: str, dimensions: int) -> list[float]:
    """Return a unit vector; texts that share words have vectors that point closer to each other."""
    total = [0.0] * dimensions
    for token in _TOKEN.findall(text.lower()) or [text]:
        for place, number in enumerate(_directions(token, dimensions)):
            total[place] += number
    length = math.sqrt(sum(number * number for number in total)) or 1.0
    return [number / length for number in total]


def packed(numbers: Sequence[float]) -> bytes:
    """Return a vector as little-endian 32-bit floats, which is what OpenAI's base64 form holds."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def identifier(prefix: str, *parts: bytes | str) -> str:
    """Return a name that depends on the parts alone, so that the same request gets the same answer."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return prefix + digest.hexdigest()[:24]


def _directions(token: str, dimensions: int) -> Iterable[float]:
    data = hashlib.shake_256(token.encode()).digest(2 * dimensions)
    return ((number - 32767.5) / 32767.5 for (number,) in struct.iter_unpack("<H", data))
