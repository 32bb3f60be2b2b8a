"""A kept answer in the form that the next caller asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.caching.forms import Form, Retells, Untellable, calls_of
from llmproxy.caching.own import OWN, Own
from llmproxy.errors import GatewayError
from llmproxy.inflate import Inflate
from llmproxy.lanes import run_whole
from llmproxy.messages import Headers, RawHeader, Reply, StoredReply
from llmproxy.strain import aside

if TYPE_CHECKING:
    from llmproxy.canonical import ModelAnswer, StreamEvent
    from llmproxy.dialects import ClientFace, UpstreamFace
    from llmproxy.exchange import Exchange
    from llmproxy.translation import Asked

#: What the gateway told one caller of a translation, and is not true for the next.
_OF_THE_CALLER: Final = frozenset({b"x-llmproxy-losses", b"x-llmproxy-token-count"})


_Tell = Callable[..., Form]


class Derived(NamedTuple):
    """A reply in another form; or none, and why: then the answer counts as not kept."""

    reply: StoredReply | None
    why: str = ""


class _Told(NamedTuple):
    """An answer in the canonical form, whole and as events."""

    answer: ModelAnswer
    events: Iterable[StreamEvent] = ()


class Forms:
    """Says in which form an exchange's answer is, or is wanted, and derives one from another.

    Nothing is derived that would be poorer than what the caller would have got from the provider: what cannot be
    carried makes a miss.
    """

    def __init__(
        self, upstream_faces: Mapping[str, UpstreamFace], client_faces: Iterable[ClientFace] = ()
    ) -> None:
        self._readers: dict[tuple[str, str], UpstreamFace] = {}
        self._tellers = {face.wire: face for face in client_faces if isinstance(face, Retells)}
        for face in upstream_faces.values():
            for call in calls_of(face).values():
                self._readers.setdefault((face.wire, call), face)

    def asked(self, exchange: Exchange) -> Form | None:
        """Return the form that the caller asked for; None where no dialect is spoken."""
        face = exchange.client_face
        if face is None:
            return None
        tell: _Tell | None = getattr(face, "form", None)  # a quarter of what asking for the protocol costs
        if tell is None:
            return Form(face.wire, "", exchange.streamed)
        return tell(exchange, exchange._body or b"")  # without a coroutine: hits pass here

    def kept(self, exchange: Exchange, reply: Reply) -> Form | None:
        """Return the form of the exchange's reply, as `around_upstream` and `cache_store` see it."""
        face = exchange.client_face
        if face is None:
            return None
        tell: _Tell | None = getattr(face, "form", None)  # likewise
        if tell is None:
            return Form(face.wire, "", exchange.streamed)
        form = tell(exchange, exchange._body or b"", reply)
        answered = [attempt for attempt in exchange.attempts if attempt.error is None]
        return form._replace(translated=True) if answered and answered[-1].translated else form

    def want_own(self, exchange: Exchange, limit: int) -> None:
        """Ask, before the attempt, for a copy of the provider's own answer, should it be translated for this caller."""
        exchange.state[OWN] = Own(limit)

    def own(self, exchange: Exchange) -> tuple[Form, StoredReply] | None:
        """Return the provider's own answer and its form, once it is complete; None where none was translated.

        It is the better source of other forms: all of them can be derived from it, and its own callers are sent it.
        """
        own = exchange.state.get(OWN)
        reply = None if own is None else own.whole()
        return None if own is None or own.form is None or reply is None else (own.form, reply)

    async def derive(
        self, exchange: Exchange, stored: StoredReply, source: Form, target: Form | None = None
    ) -> Derived:
        """Return a stored reply of the form `source` in the one that this exchange's caller asked for.

        What a caller may refer to later (a Responses conversation, a signed thought) is remembered for it, as it would
        have been live. Never raises for what is wrong with the stored reply.
        """
        target = target or self.asked(exchange)
        if target is None or source.same(target):
            return Derived(stored, "" if target else "no dialect is spoken")
        try:
            if not 200 <= stored.status < 300:
                raise Untellable("only a good answer has other forms")
            if (source.wire, source.call) == (target.wire, target.call):
                reply = await _retold(exchange, stored, source, target)
            else:
                reply = await self._translated(exchange, stored, source, target)
        except Untellable as fault:
            return Derived(None, str(fault))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as fault:
            return Derived(None, f"the kept answer could not be read ({type(fault).__name__})")
        except GatewayError as fault:
            return Derived(None, f"the kept answer has no such form ({fault.code})")
        return Derived(reply)

    async def _translated(
        self, exchange: Exchange, stored: StoredReply, source: Form, target: Form
    ) -> StoredReply:
        reader, client = self._readers.get((source.wire, source.call)), exchange.client_face
        if reader is None or client is None or not target.call:
            raise Untellable("no other dialect has this answer")
        if source.translated:
            raise Untellable("it was kept as the gateway told it to a caller of another dialect")
        # Imported with the first answer that needs it, as on the live path.
        from llmproxy.translation import remember, request_of  # noqa: PLC0415

        asked = await request_of(exchange)
        if asked.losses:
            # No canonical key knows of these, so nobody can say that the answer is to this request.
            raise Untellable("the request says what only its own dialect holds")
        if source.streamed and not target.streamed and source.wire in self._tellers:
            # Some say at a stream's end what belongs to its beginning: whole, nothing comes too late.
            stored, source = await self._whole(stored, source)
        told = await aside(stored.body, partial(_read, exchange, asked, reader, stored, source))
        reply = await aside(stored.body, partial(_written, exchange, client, told, target))
        await remember(exchange, client, told.answer)
        return _with_headers(stored, reply.headers.raw, _bytes(reply))

    async def _whole(self, stored: StoredReply, source: Form) -> tuple[StoredReply, Form]:
        body, whole = plain(stored), source._replace(streamed=False, manner="")
        told = await aside(body, partial(self._tellers[source.wire].retell, body, source, whole))
        return _with_headers(stored, [(b"Content-Type", b"application/json")], told), whole


async def _retold(exchange: Exchange, stored: StoredReply, source: Form, target: Form) -> StoredReply:
    face = exchange.client_face
    if face is None or not target.call or not isinstance(face, Retells):
        raise Untellable("this dialect tells an answer in one form only")
    body = plain(stored)
    told = await aside(body, partial(face.retell, body, source, target))
    kind = face.stream_type(exchange) if target.streamed else b"application/json"
    fields = [(b"Content-Type", kind)] + ([(b"Cache-Control", b"no-cache")] if target.streamed else [])
    return _with_headers(stored, fields, told)


def plain(stored: StoredReply) -> bytes:
    """Return a reply's body without content coding.

    Raises:
        ValueError: it is not of that coding.
    """
    coding = Headers(list(stored.headers)).index.get(b"content-encoding", b"identity")
    return bytes(stored.body) if coding == b"identity" else run_whole([Inflate(coding)], bytes(stored.body))


def _read(exchange: Exchange, asked: Asked, face: UpstreamFace, stored: StoredReply, source: Form) -> _Told:
    """Read a provider's answer as it would have been read for this caller."""
    from llmproxy.canonical import Answer, Collector, events_of  # noqa: PLC0415  # few gateways translate
    from llmproxy.toolnames import NamingBack, named_back, with_names  # noqa: PLC0415

    body, reply = plain(stored), stored.replay()
    names = with_names(asked.request, face.tool_names)[1]
    decoder = face.stream_decoder(exchange, reply) if source.streamed else None
    if decoder is None:
        answer = face.decode_answer(exchange, reply, body)
        if not isinstance(answer, Answer):
            return _Told(answer)
        answer = named_back(answer, names)
        return _Told(answer, events_of(answer))
    decoder = NamingBack(decoder, names) if names else decoder
    events, collector = [*decoder.feed(body), *decoder.close()], Collector()
    for event in events:
        collector.feed(event)
    if collector.failed is not None:
        raise Untellable("the kept stream ended with an error")
    return _Told(collector.answer, events)


def _written(exchange: Exchange, client: ClientFace, told: _Told, target: Form) -> Reply:
    if not target.streamed:
        return client.encode_answer(exchange, told.answer)
    encoder = client.stream_encoder(exchange)
    pieces = [piece for event in told.events for piece in encoder.feed(event)]
    fields = [(b"Content-Type", client.stream_type(exchange)), (b"Cache-Control", b"no-cache")]
    return Reply(200, Headers(fields), b"".join([*pieces, *encoder.close()]))


def _with_headers(stored: StoredReply, fields: list[RawHeader], body: bytes) -> StoredReply:
    from llmproxy.translation import OF_THE_BODY  # noqa: PLC0415  # likewise

    own = {name.lower() for name, _ in fields}
    kept = [
        pair
        for pair in stored.headers
        if (name := pair[0].lower()) not in OF_THE_BODY and name not in own and name not in _OF_THE_CALLER
    ]
    return StoredReply(stored.status, [*fields, *kept], body)


def _bytes(reply: Reply) -> bytes:
    if not isinstance(reply.body, bytes):
        raise Untellable("the answer is told in pieces")
    return reply.body
