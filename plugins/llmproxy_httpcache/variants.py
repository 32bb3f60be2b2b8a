"""What is stored where one key has several answers: which fields select, which variants there are, whether a part is.

The index of a key is an entry of its own; losing one of two updates that are made at once loses a hit and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.vary import preferred_language, selection

#: Sets of selecting names, and variants, that one key may have; the latest are kept.
MOST_SETS: Final = 4
MOST_VARIANTS: Final = 32

_LANGUAGE: Final = b"accept-language"


class Variant(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One stored variant: its selection, its validator, its language, its selection but for the language."""

    selection: bytes
    etag: bytes = b""
    language: bytes = b""
    others: bytes = b""


class Index(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The sets of selecting names, the variants, each list with the latest first; whether a part is stored."""

    names: tuple[tuple[bytes, ...], ...] = ()
    variants: tuple[Variant, ...] = ()
    part: bool = False

    def selections(self, request: Fields) -> list[bytes]:
        """Return the selections that a request makes, by the sets that answers had."""
        return [selection(names, request) for names in self.names]

    def by_language(self, request: Fields) -> bytes | None:
        """Return the selection of a variant in the language that a request prefers to every other."""
        language = preferred_language(request)
        if language is None:
            return None
        others = {_without_language(names, request) for names in self.names if _LANGUAGE in names}
        return next(
            (each.selection for each in self.variants if each.language == language and each.others in others),
            None,
        )

    @property
    def etags(self) -> list[bytes]:
        """The validators of the variants that have one, the latest first."""
        return list(dict.fromkeys(each.etag for each in self.variants if each.etag))

    def by_etag(self, etag: bytes) -> bytes | None:
        """Return the selection of the variant that has a validator."""
        return next((each.selection for each in self.variants if each.etag == etag), None)

    def with_variant(self, names: tuple[bytes, ...], variant: Variant) -> Index:
        """Return the index with one more variant."""
        sets = (names, *(other for other in self.names if other != names))
        kept = (each for each in self.variants if each.selection != variant.selection)
        return Index(sets[:MOST_SETS], (variant, *kept)[:MOST_VARIANTS], self.part)

    def with_part(self) -> Index:
        """Return the index of a key of which a part is stored."""
        return msgspec.structs.replace(self, part=True)


def variant_of(names: tuple[bytes, ...], request: Fields, answer: Fields, etag: bytes) -> Variant:
    """Return what the index says of an answer to a request."""
    language = (answer.get(b"content-language") or b"").strip().lower()
    return Variant(
        selection(names, request),
        etag,
        language if b"," not in language else b"",
        _without_language(names, request) if _LANGUAGE in names else b"",
    )


def _without_language(names: Sequence[bytes], request: Fields) -> bytes:
    return selection([name for name in names if name != _LANGUAGE], request)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Index)


def pack_index(index: Index) -> bytes:
    """Return the index as it is stored."""
    return _encoder.encode(index)


def unpack_index(data: bytes) -> Index:
    """Read a stored index.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _remembered(data) if len(data) <= _LONGEST else _decoder.decode(data)


_LONGEST: Final = 1024
_remembered: Final = lru_cache(maxsize=1024)(_decoder.decode)
