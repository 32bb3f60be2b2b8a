"""What an upstream's words may only repeat of the caller's own. Pure.

Providers quote what they refuse: a role that there is none of, a model's name, a whole input. Who writes "incorrect api
key" into his request must not have the gateway's keys put aside for all others by the error that quotes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: Tells whether the caller's own request says some words, in lower case.
Says = Callable[[str], bool]

#: A character as JSON may write it (RFC 8259 §7).
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def says(exchange: Exchange, words: str) -> bool:
    """Whether a request says these words, however it writes them; what cannot be read here may say anything."""
    if exchange.body_at_hand is None or b"content-encoding" in exchange.request.headers.index:
        return True
    return any(words in text.lower() for text in _texts(exchange))


def _texts(exchange: Exchange) -> Iterator[str]:
    """Yield all that a caller wrote."""
    request = exchange.request
    yield unquote_plus(request.target)
    for _, value in request.headers.raw:
        yield value.decode("latin-1")
    yield exchange.model or ""
    body = (exchange.body_at_hand or b"").decode("utf-8", "replace")
    yield _ESCAPED.sub(_character, body) if "\\u" in body else body


def _character(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 16))
