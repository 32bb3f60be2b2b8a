"""Finds plain fields in a multipart form (RFC 7578) without copying its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_BOUNDARY = re.compile(rb'(?i);\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))')
_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*?[;\s]name=(?:"([^"\r\n]*)"|([^\s;"]+))')
#: Parts of a form that are read, and bytes of the head of each.
MOST_PARTS: Final = 128
MOST_HEAD: Final = 4096


def boundary_of(content_type: bytes) -> bytes | None:
    """Return what separates the parts, or None where the header does not say."""
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]) if found else None


def fields(body: bytes, boundary: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield each part's name and where its content starts and ends; stop at what is no part."""
    delimiter = b"--" + boundary
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if at < 2 and not body.startswith(delimiter):
        return
    for _ in range(MOST_PARTS):
        head = at + len(delimiter)
        start = body.find(b"\r\n\r\n", head, head + MOST_HEAD) + 4
        end = body.find(b"\r\n" + delimiter, start)
        if start < 4 or end < 0:
            return
        if name := _NAME.search(body, head, start):
            yield (name[1] or name[2] or b"").decode("utf-8", "replace"), start, end
        at = end + 2


def with_field(body: bytes, boundary: bytes, name: str, value: str) -> bytes:
    """Return a form with one more plain field, its first; what is no form stays as it is."""
    delimiter = b"--" + boundary
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if at < 2 and not body.startswith(delimiter):
        return body
    field = b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    return body[:at] + field % (delimiter, name.encode(), value.encode()) + body[at:]
