"""How large a picture is, read from its first bytes, and how many tokens providers count for it.

Rules as documented: OpenAI's "Calculating costs" of images and vision (tiles of 512 pixels, or patches of 32),
Anthropic's "Vision" (patches of 28 pixels), Google's "Understand and count tokens" (tiles of 768 pixels).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from math import ceil, floor, sqrt
from struct import Struct
from typing import Final

from llmproxy.canonical import Image, Inline

#: Characters of base64 that are looked at: a JPEG may tell its size behind a thumbnail.
_LOOKED_AT: Final = 256 * 1024

#: What a picture is taken for whose size cannot be seen: behind a URL, or of an unknown format.
_UNSEEN: Final = (1024, 1024)

_PNG: Final = Struct(">II")
_GIF: Final = Struct("<HH")
_JPEG: Final = Struct(">HH")
_LENGTH: Final = Struct(">H")
# Markers of JPEG that begin a frame, which tells its size; those that stand alone.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})

Rule = Callable[[int, int, str], float]


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, JPEG or WebP from its first bytes; None where they do not tell."""
    size: tuple[int, int] | None = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        size = _PNG.unpack_from(data, 16)
    elif data[:4] == b"GIF8" and len(data) >= 10:
        size = _GIF.unpack_from(data, 6)
    elif data[:2] == b"\xff\xd8":
        size = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        size = _webp(data)
    return size if size and size[0] and size[1] else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = _JPEG.unpack_from(data, at + 5)
            return width, height
        if marker == 0xFF:  # a fill byte
            at += 1
        else:
            at += 2 if marker in _ALONE else 2 + _LENGTH.unpack_from(data, at + 2)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = _GIF.unpack_from(data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def picture_tokens(image: Image, model: str) -> int:
    """Return how many tokens the provider of `model` counts for a picture."""
    size = None
    if isinstance(image.source, Inline):
        try:
            size = size_of(b64decode(image.source.data[:_LOOKED_AT]))
        except (Base64Error, ValueError):
            size = None
    width, height = size or _UNSEEN
    return ceil(_rule(model)(width, height, image.detail))


def _rule(model: str) -> Rule:
    name = model.lower()
    return next((rule for pattern, rule in _RULES if pattern.search(name)), _area)


def _tiles(base: int, tile: int) -> Rule:
    def rule(width: int, height: int, detail: str) -> float:
        if detail == "low":
            return base
        shrink = min(1.0, 2048 / max(width, height))
        shrink *= min(1.0, 768 / (min(width, height) * shrink))
        return base + tile * ceil(width * shrink / 512) * ceil(height * shrink / 512)

    return rule


def _patches(factor: float, budget: int = 1536, high: int = 0) -> Rule:
    """Count patches of 32 pixels up to a budget, which may be another one for high detail."""

    def rule(width: int, height: int, detail: str) -> float:
        most = high if high and detail == "high" else budget
        patches = ceil(width / 32) * ceil(height / 32)
        if patches > most:
            # Shrunk to the bound, and once more so that one side is of whole patches.
            shrink = sqrt(32 * 32 * most / (width * height))
            across, down = width * shrink / 32, height * shrink / 32
            again = min(floor(across) / across, floor(down) / down)
            patches = ceil(across * again - 1e-6) * ceil(down * again - 1e-6)
        return factor * patches

    return rule


def _area(width: int, height: int, detail: str) -> float:
    shrink = min(1.0, 1568 / max(width, height), sqrt(1600 * 750 / (width * height)))
    return 4 + width * height * shrink * shrink / 750


def _squares(edge: int, most: int) -> Rule:
    def rule(width: int, height: int, detail: str) -> float:
        shrink = min(1.0, edge / max(width, height))
        return min(most, ceil(width * shrink / 28) * ceil(height * shrink / 28))

    return rule


def _gemini(width: int, height: int, detail: str) -> float:
    if width <= 384 and height <= 384:
        return 258
    unit = max(256, min(768, floor(min(width, height) / 1.5)))
    return 258 * min(16, ceil(width / unit) * ceil(height / unit))


def _grok(width: int, height: int, detail: str) -> float:
    return 256 * min(6, ceil(width / 448) * ceil(height / 448) + 1) if max(width, height) > 448 else 256


def _same(tokens: int) -> Rule:
    return lambda width, height, detail: tokens


_RULES: Final[tuple[tuple[re.Pattern[str], Rule], ...]] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"gpt-4o-mini", _tiles(2833, 5667)),
        (r"gpt-4\.1-mini|gpt-5(\.\d)?-mini", _patches(1.62)),
        (r"gpt-4\.1-nano", _patches(2.46)),
        (r"gpt-5(\.\d)?-nano", _patches(1.5)),
        (r"o4-mini", _patches(1.72)),
        (r"gpt-5\.[5-9]|gpt-[6-9]", _patches(1.2, 10_000, high=2500)),
        (r"gpt-5", _tiles(70, 140)),
        (r"(?<![a-z0-9])o[13]", _tiles(75, 150)),
        (r"computer-use", _tiles(65, 129)),
        (r"gpt|chatgpt", _tiles(85, 170)),
        (r"gemini-[3-9]", _same(1120)),
        (r"gemini|gemma", _gemini),
        (r"grok", _grok),
        (r"nova", _same(1800)),
        (r"claude-(fable|mythos|[a-z]+-([5-9]|4[-.][7-9])(?!\d))", _squares(2576, 4784)),
        (r"claude", _squares(1568, 1568)),
    )
)
