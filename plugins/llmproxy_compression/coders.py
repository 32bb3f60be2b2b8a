"""Byte machines that compress; each piece that is fed can be read at once by who gets it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, Protocol

#: Windows of 256 KiB: what a stream holds while it is open, and as far back as repetition is found.
_WINDOW_BITS: Final = 18


class Coder(Protocol):
    """Compresses one body."""

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes become, all of it."""

    def close(self) -> bytes:
        """Return the end."""


class Gzip:
    """RFC 1952."""

    def __init__(self) -> None:
        self._coder = zlib.compressobj(level=6, wbits=31)

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes become, all of it."""
        return self._coder.compress(data) + self._coder.flush(zlib.Z_SYNC_FLUSH)

    def close(self) -> bytes:
        """Return the end."""
        return self._coder.flush()


class Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        # Imported when the first one is asked for: it is an extra.
        import brotli  # noqa: PLC0415

        self._coder: Any = brotli.Compressor(quality=4, lgwin=_WINDOW_BITS)

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes become, all of it."""
        out: bytes = self._coder.process(data) + self._coder.flush()
        return out

    def close(self) -> bytes:
        """Return the end."""
        out: bytes = self._coder.finish()
        return out


class Zstandard:
    """RFC 8878."""

    def __init__(self) -> None:
        # Likewise.
        import zstandard  # noqa: PLC0415

        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=_WINDOW_BITS)
        self._coder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes become, all of it."""
        return self._coder.compress(data) + self._coder.flush(self._block)

    def close(self) -> bytes:
        """Return the end."""
        return self._coder.flush()


CODERS: Final[Mapping[str, Callable[[], Coder]]] = {"zstd": Zstandard, "br": Brotli, "gzip": Gzip}
_PACKAGES: Final = {"zstd": "zstandard", "br": "brotli"}


def installed(coding: str) -> bool:
    """Whether what compresses so is there."""
    package = _PACKAGES.get(coding)
    return package is None or find_spec(package) is not None
