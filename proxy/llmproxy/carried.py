"""Which of a caller's header fields go on: with its request as it came, or as it was put into another dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from llmproxy.messages import HOP_BY_HOP, ClientRequest, Headers, RawHeader, Spellings

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange

#: What callers say to the gateway alone.
SAID_HERE: Final = frozenset(b"x-llmproxy-timeout x-llmproxy-explain x-llmproxy-policy".split())

# The caller's credentials, what holds for one connection, what the core writes itself, and what makes another method
# of the one that was judged here.
_STAY: Final = (
    SAID_HERE
    | HOP_BY_HOP
    | frozenset(
        b"""
    authorization x-api-key api-key x-goog-api-key x-amz-security-token cookie host content-length accept-encoding
    expect x-http-method-override x-http-method x-method-override
    """.split()
    )
)

# The caller's credentials, what describes the caller's own bytes, program or page, what would make another request of
# the one that was judged here, and what the core writes itself.
_LEFT_OUT: Final = (
    SAID_HERE
    | HOP_BY_HOP
    | frozenset(
        b"""
    authorization x-api-key api-key x-goog-api-key cookie accept accept-encoding user-agent host expect
    origin referer x-http-method-override x-http-method x-method-override
    digest want-digest range if-match if-none-match if-modified-since if-unmodified-since if-range x-app
    """.split()
    )
)

# Ends of paths of files that tell what was used, which is read where they pass: nobody leaves that part out.
_WHOLE: Final = ("/content", "/results", ":download")
_RANGES: Final = frozenset({b"range", b"if-range"})

# What belongs to the body as it came, or to one dialect, whose words mean nothing to another provider.
_FAMILIES: Final = (
    b"content-",
    b"sec-",
    b"x-stainless-",
    b"anthropic-",
    b"openai-",
    b"x-goog-",
    b"x-amz-",
    b"x-amzn-",
    b"amz-sdk-",
)


class _Carried(Spellings):
    """Remembers the judgement of each spelling, as its parent does."""

    def __missing__(self, name: bytes) -> bool:
        plain = name.lower().replace(b"_", b"-")
        passes = plain not in self._left_out and not plain.startswith(_FAMILIES)
        if len(self) < self.MOST:
            self[name] = passes
        return passes


_carries: Final = _Carried(_LEFT_OUT)
_passes: Final = Spellings(_STAY)


def passed_headers(exchange: Exchange) -> Headers:
    """Return the fields that travel on to a provider of the caller's dialect, spelled and ordered as they came.

    Left out are credentials, what holds for one connection and what the core writes itself. Said is the length of an
    upload that streams through, if its caller said it: some servers take no chunked request.
    """
    fields = exchange.request.headers
    kept = [pair for pair in fields.raw if _passes[pair[0]]]
    named = fields.index.get(b"connection")
    if named is not None and named.lower() not in (b"keep-alive", b"close"):
        gone = {name.strip().lower() for name in named.split(b",")}
        kept = [pair for pair in kept if pair[0].lower() not in gone]
    if b"range" in fields.index and unquote(exchange.request.path).rstrip("/").endswith(_WHOLE):
        kept = [pair for pair in kept if pair[0].lower() not in _RANGES]
    length = fields.index.get(b"content-length")
    if length is not None and not exchange.has_body:
        kept.append((b"Content-Length", length))
    return Headers(kept)


def carried_headers(request: ClientRequest) -> Headers:
    """Return the fields that travel on to a provider of another dialect, spelled and ordered as they came.

    Left out are credentials, what holds for one connection, what describes the caller's body, its program or its
    dialect. The upstream face adds its own.
    """
    kept: list[RawHeader] = [pair for pair in request.headers.raw if _carries[pair[0]]]
    named = request.headers.index.get(b"connection")
    if named is not None:
        gone = {name.strip().lower() for name in named.split(b",")}
        kept = [pair for pair in kept if pair[0].lower() not in gone]
    return Headers(kept)
