"""What is kept of a body: its text, in full or redacted, and never more than was asked for.

A JSON body is redacted text by text. A stream comes in pieces, and what should not be kept may begin in one and end in
the next: so of a redacted stream each field's pieces are joined first, and its events are not kept.
"""

from __future__ import annotations

import zlib
from typing import Final

import orjson

from llmproxy.plugin import is_stream, said
from llmproxy_calllog.copies import Copy
from llmproxy_calllog.redacting import Redactor
from llmproxy_calllog.taking import Kept

#: How much more is read of a body than is kept of it: what is whole can be taken apart, and is cut afterwards.
READ: Final = 4
#: Characters at the end of a cut text that may be the beginning of something to be redacted.
_TAIL: Final = 64
_CUT: Final = "…"
_TEXTS: Final = (b"text/", b"application/json", b"application/x-ndjson", b"application/x-www-form-urlencoded")


def request_text(kept: Kept, limit: int) -> str | None:
    """Return what is kept of the request."""
    if kept.request is None:
        return None
    return _text(kept, kept.request, kept.request_type, kept.request_size, limit)


def answer_text(kept: Kept, limit: int) -> str | None:
    """Return what is kept of the answer."""
    copy = kept.answer
    if copy is None:
        return None
    data = _plain(copy, READ * limit)
    if data is None:
        return _described(copy.media, copy.size)
    return _text(kept, data, copy.media, copy.size if copy.coding == b"identity" else len(data), limit)


def _plain(copy: Copy, most: int) -> bytes | None:
    """Return an answer without its content coding; None where that is not one of the plain ones."""
    data, coding = copy.data, copy.coding.lower()
    if coding == b"identity":
        return data
    if coding not in {b"gzip", b"x-gzip", b"deflate"}:
        return None
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, most)
    except zlib.error:
        return None


def _text(kept: Kept, data: bytes, media: bytes, size: int, limit: int) -> str:
    if not data:
        return ""
    kind = media.partition(b";")[0].strip().lower()
    if kind and not (kind.startswith(_TEXTS) or kind.endswith(b"+json")):
        return _described(kind, size)
    if b"\0" in data[:1024]:
        return _described(kind, size)
    if kept.mode == "full":
        return cut(data[:limit].decode("utf-8", "replace"), limit, whole=size <= limit)
    return _redacted(Redactor(kept.credentials), data, kind, limit, whole=len(data) >= size)


def _described(media: bytes, size: int) -> str:
    """Say what a body is that is no text."""
    kind = media.partition(b";")[0].decode("latin-1")[:60]
    return f"[{kind or 'binary'}, {size} bytes]"


def _redacted(redactor: Redactor, data: bytes, kind: bytes, limit: int, *, whole: bool) -> str:
    if is_stream(kind):
        # what is not whole ends in the midst of a word, whatever it is told as
        return _pieced(redactor, said(data, streamed=True), limit, whole=whole)
    if whole:
        try:
            tree = orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
        else:
            return cut(orjson.dumps(redactor.tree(tree)).decode(), limit, whole=True)
    text = data.decode("utf-8", "replace")
    return cut(redactor.text(text if whole else text[:-_TAIL]), limit, whole=whole)


def _pieced(redactor: Redactor, told: dict[str, str], limit: int, *, whole: bool) -> str:
    """Return a stream's texts, without what should not be kept."""
    fields = {name: redactor.text(text if whole else text[:-_TAIL]) for name, text in told.items()}
    return cut(orjson.dumps(fields).decode(), limit, whole=whole) if fields else ""


def cut(text: str, limit: int, *, whole: bool) -> str:
    """Return a text of `limit` bytes at most, with a mark where something is missing."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > limit:
        return data[:limit].decode("utf-8", "ignore") + _CUT
    return data.decode() + ("" if whole else _CUT)
