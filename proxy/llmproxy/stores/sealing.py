"""Values as a store gets them: compressed, encrypted, or both; and back.

A value that nothing was done to is stored as it is, so it is read without a copy, and what was stored before
compression was configured can be read after it. What was done is told by two bytes in front.
"""

from __future__ import annotations

import os
import re
import threading
from base64 import b64decode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import zstandard
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK: Final = b"\xf5"  # no text in UTF-8 and no number begins with it
_ESCAPED: Final = _MARK + b"\x00"  # a value that begins with the mark itself
_ZSTD: Final = _MARK + b"\x01"
_AES: Final = _MARK + b"\x02"

_KEY_BYTES: Final = 32
_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")

#: The largest value that is compressed, and the largest that anything compressed may grow to, bytes.
LARGEST: Final = 128 << 20


class Unopened(ValueError):
    """A stored value that cannot be read; `reason` is `plain`, `key`, `corrupt` or `size`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a stored value cannot be opened: {reason}")
        self.reason = reason


class Seal(Protocol):
    """What is done to the values of a store; `keeps_numbers` says whether decimals stay as they are."""

    keeps_numbers: bool

    def close(self, key: bytes, value: bytes) -> bytes:
        """Return the value as it is stored under `key`."""

    def open(self, key: bytes, data: bytes) -> bytes:
        """Return the value that `close` was given.

        Raises:
            Unopened: it was not stored so, not under this key, or is damaged.
        """


class Compression:
    """Zstandard for values of `above` bytes or more, where it saves an eighth; 0.3 ms for 100 KiB of JSON."""

    keeps_numbers = True

    def __init__(self, above: int) -> None:
        import zstandard  # noqa: PLC0415  # an extra

        self._zstd = zstandard
        self._above = max(above, 1)
        self._threads = threading.local()  # neither of zstd's contexts may be in two threads at once

    def close(self, key: bytes, value: bytes) -> bytes:
        if self._above <= len(value) <= LARGEST:
            packed: bytes = self._compressor.compress(value)
            if len(packed) < len(value) - len(value) // 8:
                return _ZSTD + packed
        return _ESCAPED + value if value.startswith(_MARK) else value

    def open(self, key: bytes, data: bytes) -> bytes:
        if not data.startswith(_MARK):
            return data
        if data.startswith(_ESCAPED):
            return data[len(_ESCAPED) :]
        if not data.startswith(_ZSTD):
            raise Unopened("corrupt")
        return self._unpacked(memoryview(data)[len(_ZSTD) :])

    def _unpacked(self, packed: memoryview) -> bytes:
        try:
            # The size stands in front, so nothing is allocated for what claims to be too much.
            size = self._zstd.get_frame_parameters(packed).content_size
            if size > LARGEST:
                raise Unopened("size")
            value: bytes = self._decompressor.decompress(packed, max_output_size=size)
        except self._zstd.ZstdError:
            raise Unopened("corrupt") from None
        return value

    @property
    def _compressor(self) -> zstandard.ZstdCompressor:
        try:
            return self._threads.compressor  # type: ignore[no-any-return]
        except AttributeError:
            self._threads.compressor = self._zstd.ZstdCompressor(level=3)
            return self._threads.compressor  # type: ignore[no-any-return]

    @property
    def _decompressor(self) -> zstandard.ZstdDecompressor:
        try:
            return self._threads.decompressor  # type: ignore[no-any-return]
        except AttributeError:
            self._threads.decompressor = self._zstd.ZstdDecompressor()
            return self._threads.decompressor  # type: ignore[no-any-return]


class Encryption:
    """AES-256-GCM; the first of `keys` encrypts, all decrypt, the store's key is bound in.

    Each store that is opened draws a salt, from which (and the key) the cipher's own key comes, and counts its
    nonces: however many values are written, no nonce comes twice.
    """

    keeps_numbers = False

    _HEAD: Final = 2 + 4 + 16  # mark, which key, salt
    _NONCE: Final = 12

    def __init__(self, keys: Sequence[bytes]) -> None:
        import cryptography.exceptions  # noqa: PLC0415  # an extra

        self._keys = {_key_id(key): key for key in keys}
        self._invalid = cryptography.exceptions.InvalidTag
        # Salts of values that are read come from outside: few are remembered.
        self._cipher = lru_cache(256)(lambda which, salt: _cipher(self._keys[which], salt))
        which, salt = _key_id(keys[0]), os.urandom(16)
        self._head = _AES + which + salt
        self._own = self._cipher(which, salt)
        self._nonces = count()

    def close(self, key: bytes, value: bytes) -> bytes:
        nonce = next(self._nonces).to_bytes(self._NONCE, "big")
        return b"".join((self._head, nonce, self._own.encrypt(nonce, value, self._head + key)))

    def open(self, key: bytes, data: bytes) -> bytes:
        if not data.startswith(_AES):
            raise Unopened("plain")
        head, rest = data[: self._HEAD], memoryview(data)[self._HEAD :]
        which, salt = head[2:6], head[6:]
        if which not in self._keys:
            raise Unopened("key")
        try:
            value: bytes = self._cipher(which, salt).decrypt(
                rest[: self._NONCE], rest[self._NONCE :], head + key
            )
        except (self._invalid, ValueError):
            raise Unopened("corrupt") from None
        return value


class Both:
    """Compress, then encrypt."""

    keeps_numbers = False

    def __init__(self, compression: Seal, encryption: Seal) -> None:
        self._compression = compression
        self._encryption = encryption

    def close(self, key: bytes, value: bytes) -> bytes:
        return self._encryption.close(key, self._compression.close(key, value))

    def open(self, key: bytes, data: bytes) -> bytes:
        return self._compression.open(key, self._encryption.open(key, data))


def read_key(text: str) -> bytes:
    """Return the 32 bytes that `text` stands for, in hexadecimal or base64.

    Raises:
        ValueError: it is no such key. The message does not repeat it.
    """
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        return b64decode(text.rstrip("=") + "=", altchars=b"-_" if set("-_") & set(text) else b"+/")
    raise ValueError("not 32 bytes in hexadecimal or base64, as `openssl rand -base64 32` prints them")


def _key_id(key: bytes) -> bytes:
    return blake2b(key, digest_size=4, person=b"llmproxy key id").digest()


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # an extra
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt, b"llmproxy store value").derive(key))
