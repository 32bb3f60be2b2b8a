"""Takes codings off again, with the decoders of others."""

from __future__ import annotations

import zlib
from typing import Any

import brotli
import zstandard


def unpacked(data: bytes, coding: str) -> bytes:
    """Return what a whole body was before it was coded."""
    if coding == "gzip":
        return zlib.decompress(data, 31)
    if coding == "br":
        return bytes(brotli.decompress(data))
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def opened(coding: str) -> Any:
    """Return a function that decodes piece by piece."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        return brotli.Decompressor().process
    return zstandard.ZstdDecompressor().decompressobj().decompress
