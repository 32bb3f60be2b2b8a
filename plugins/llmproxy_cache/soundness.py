"""Whether what came with status 200 is an answer at all.

Proxies on the way answer with pages, sellers with errors that say 200, and a body that only the connection's end ends
may be cut anywhere. What a dialect knows of whole answers stands in its rules; here is what is true of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from llmproxy.plugin import KeyRules, RawHeader, StoredReply, is_stream

_NULL: Final = msgspec.Raw(b"null")
#: Bytes in which JSON shows what it is.
_START: Final = 64
#: Values of `error` that tell of none.
_NO_ERROR: Final = frozenset({b"null", b'""', b"{}", b"[]", b"false"})


class _Told(msgspec.Struct, gc=False):
    """What an object of JSON says beside its answer; all of it is read, and little of it kept."""

    error: msgspec.Raw = _NULL
    object: msgspec.Raw = _NULL


_object: Final = msgspec.json.Decoder(_Told)
_anything: Final = msgspec.json.Decoder(msgspec.Raw)


def is_answer(whole: StoredReply, rules: KeyRules | None) -> bool:
    """Say whether a reply is of the kind that its call is answered with, to its end, and no error."""
    body, kind = whole.body, _media_type(whole.headers)
    if not body or kind == b"text/html":
        return False
    if is_stream(kind):
        return True
    if rules is None:
        return not _is_json(kind) or _is_good_json(body)
    if rules.json:
        return _is_good_json(body)
    return not _is_json(kind) and not kind.startswith(b"text/")


def _is_json(kind: bytes) -> bool:
    return kind == b"application/json" or kind.endswith(b"+json")


def _is_good_json(body: bytes) -> bool:
    try:
        if body[:_START].lstrip()[:1] != b"{":
            _ = _anything.decode(body)
            return True
        told = _object.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(told.error) in _NO_ERROR and bytes(told.object) != b'"error"'


def _media_type(headers: Iterable[RawHeader]) -> bytes:
    value = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    return value.partition(b";")[0].strip().lower()
