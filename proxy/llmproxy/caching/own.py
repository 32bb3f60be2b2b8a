"""A provider's own words, kept beside what a caller of another dialect was told.

Every form of an answer can be derived from what the provider said, and only the caller's own from the translation. So
a cache that wants the others says so before the attempt, and finds a copy of the answer once it is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.body import Body, Recording
from llmproxy.caching.forms import Form, calls_of
from llmproxy.exchange import StateKey
from llmproxy.messages import StoredReply

if TYPE_CHECKING:
    from llmproxy.dialects import UpstreamFace
    from llmproxy.exchange import Attempt, Exchange
    from llmproxy.messages import RawHeader, Reply


class Own:
    """What a cache wants of an exchange's provider: a copy of at most `limit` bytes, and what came of it."""

    __slots__ = ("_attempt", "_body", "_headers", "_status", "form", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.form: Form | None = None
        self._attempt: Attempt | None = None
        self._status = 0
        self._headers: tuple[RawHeader, ...] = ()
        self._body: bytes | Recording = b""

    def take(self, form: Form, attempt: Attempt, reply: Reply) -> None:
        """Copy a reply as it passes; of several attempts the last one counts."""
        self.form, self._attempt = form, attempt
        self._status, self._headers = reply.status, tuple(reply.headers.raw)
        if isinstance(reply.body, Body):
            self._body = Recording(self.limit)
            reply.body.observe(self._body)
        else:
            self._body = reply.body

    def whole(self) -> StoredReply | None:
        """Return the reply once it is complete; None where nothing was translated, it broke off or is too large."""
        if self._attempt is None or not self._attempt.complete:
            return None  # a stream may end cleanly in the middle of its answer: its translation knows
        body = self._body.whole() if isinstance(self._body, Recording) else self._body
        if body is None or len(body) > self.limit:
            return None
        return StoredReply(self._status, self._headers, body)


OWN: Final = StateKey[Own]("caching.own")

#: What canonical requests are called in an upstream face's `calls`.
_KINDS: Final = {
    "GenerateRequest": "generate",
    "EmbedRequest": "embed",
    "CountRequest": "count",
    "RerankRequest": "rerank",
}


def keep_own(exchange: Exchange, face: UpstreamFace, reply: Reply, request: object) -> None:
    """Copy the provider's answer to a canonical request, if somebody wants it."""
    own = exchange.state.get(OWN)
    call = calls_of(face).get(_KINDS.get(type(request).__name__, ""))
    if own is not None and call is not None:
        own.take(Form(face.wire, call, reply.is_stream), exchange.attempts[-1], reply)
