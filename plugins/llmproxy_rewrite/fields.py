"""Changes header fields.

A name counts in every spelling that an upstream may take for it: in any case, and with underscores for hyphens (RFC
3875 §4.1.18). Else a caller could send what the gateway sets or removes beside it.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy.plugin import BadRequest, Headers
from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.templates import Lookup, Template

#: Control characters but the tab: RFC 9110 §5.5 has them in no value.
_UNFIT: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

#: Fields that say where a message ends or for whom a connection is: another word there makes two readers see two
#: messages.
FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: Fields that say how a body is written, which no word changes.
CODING: Final = frozenset({"content-encoding", "content-range"})

_KEPT: Final = FRAMING | CODING


def plain(name: bytes) -> str:
    """Return a field's name as it counts here."""
    return name.lower().replace(b"_", b"-").decode("latin-1")


def edit_headers(headers: Headers, edits: Edits, lookup: Lookup, *, lenient: bool = False) -> None:
    """Remove, rename, set and add fields, in this order.

    Raises:
        BadRequest: a value of the request cannot stand in a header; where that is `lenient` the field is left out.
    """
    for name in edits.remove:
        _drop(headers, name)
    for old, new in edits.rename.items():
        moved = [value for field, value in headers.raw if plain(field) == old.lower()]
        if moved:
            _drop(headers, old)
            _drop(headers, new)
            for value in moved:
                headers.add(new, value)
    for name, template in edits.set:
        _drop(headers, name)
        _write(headers, name, template, lookup, lenient=lenient)
    for name, template in edits.add:
        _write(headers, name, template, lookup, lenient=lenient)


def _drop(headers: Headers, name: str) -> None:
    """Drop every field of a name, or of names that begin so where it ends in a star; what frames a message stays."""
    wanted = name.lower()
    if wanted.endswith("*"):
        named = {field: plain(field) for field, _ in headers.raw}
        gone = {field for field, each in named.items() if each.startswith(wanted[:-1]) and each not in _KEPT}
    else:
        gone = {field for field, _ in headers.raw if plain(field) == wanted}
    for field in gone:
        headers.remove(field)


def _write(headers: Headers, name: str, template: Template, lookup: Lookup, *, lenient: bool) -> None:
    value = template.fill(lookup)
    if value is None:
        return
    data = value.encode("utf-8", "surrogateescape")
    if _UNFIT.search(data):
        if lenient:
            return
        raise BadRequest(
            "bad_value",
            "The request holds a control character where a header is made of it.",
        )
    headers.add(name, data)
