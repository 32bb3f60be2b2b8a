"""The forms of one answer: in which dialect it is written, whole or as a stream, and how.

A kept answer is sent as it is to whoever asks for the form that it was kept in. For others it is told again: within a
dialect by that dialect's own face, which loses nothing, between dialects by way of the canonical form, as a live answer
would be. Pure; `deriving` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.messages import Reply


class Form(NamedTuple):
    """How an answer is written.

    `wire` is the dialect of the client face, `call` its own word for the kind of answer ("chat", "responses"), "" for
    answers that have no other form. `manner` tells apart what one caller and another of the same call get ("bare": a
    stream without usage); "" is the fullest. `translated` says that the gateway put the provider's answer into these
    words; it does not make another form.
    """

    wire: str
    call: str = ""
    streamed: bool = False
    manner: str = ""
    translated: bool = False

    def same(self, other: Form) -> bool:
        """Whether who asks for the other may be sent this one as it is."""
        return self[:4] == other[:4]


class Untellable(ValueError):  # what a cache takes for a miss
    """An answer cannot be told in another form without being poorer; the text says why, and nothing of the answer."""


@runtime_checkable
class Retells(Protocol):
    """A client face whose answers have forms; a face without it gets its answers only as they were kept."""

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form that the caller asked for with this body or, of a reply to it, the form that that has."""

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a good answer, kept in the form `source`, in another of the same wire and call.

        Raises:
            Untellable: something of it would be lost, or it is not whole.
            ValueError: it is not of this dialect.
        """


def calls_of(face: Any) -> Mapping[str, str]:
    """Return what an upstream face's `calls` say: in which call's form it answers what is asked of it.

    The keys are kinds of canonical requests: generate, embed, count.
    """
    calls: Mapping[str, str] = getattr(face, "calls", {})
    return calls
