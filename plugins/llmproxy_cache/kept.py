"""What is kept of an answer beside its bytes, and its forms.

An entry's body is the bodies of all forms, one behind another. The first form is the one that was served first; its
header fields are the entry's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from llmproxy.plugin import (
    BadEntry,
    Entry,
    Form,
    Headers,
    RawHeader,
    Reply,
    Spellings,
    StoredHeaders,
    StoredReply,
    wire_fields,
)

#: Forms that one entry has at most.
MOST_FORMS: Final = 12


class FormKept(msgspec.Struct, array_like=True, frozen=True, gc=False, omit_defaults=True):
    """One form of an answer: which, where its body ends, its header fields if it is not the first, its pace."""

    wire: str
    call: str
    streamed: bool
    manner: str
    translated: bool
    end: int
    fields: bytes = b""
    pace: bytes = b""

    @property
    def form(self) -> Form:
        """Which form it is."""
        return Form(self.wire, self.call, self.streamed, self.manner, self.translated)


class About(msgspec.Struct, array_like=True, frozen=True, gc=False, omit_defaults=True):
    """What is known of a kept answer. `lifetime` and `seconds` are seconds, `cost` microdollars, -1 if unknown.

    `usage` are its tokens as the buckets of `Usage`, empty if the provider told none.
    """

    lifetime: float
    forms: tuple[FormKept, ...]
    seconds: float = 0.0
    upstream: str = ""
    model: str = ""
    usage: tuple[int, ...] = ()
    cost: int = -1
    #: Whether an operator gave it: it is fresh as long as it says, whatever the route or a caller does.
    pinned: bool = False

    @property
    def tokens(self) -> int:
        """Its tokens, all told."""
        return sum(self.usage)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(About)


class Kept(NamedTuple):
    """An entry that was found, read; `soft` if a purge has made it stale."""

    entry: Entry
    about: About
    soft: bool = False

    def age(self, now: float) -> float:
        """Return its age in seconds at a time; a clock that was set back makes nothing younger than new."""
        age = now - self.entry.stored / 1e6
        return age if age > 0 else 0.0

    def place(self, form: Form) -> int | None:
        """Return where a form is among its own, or None if it has to be derived."""
        wire, call, streamed, manner = wanted = form[:4]
        first = self.about.forms[0]
        if (
            first.wire == wire
            and first.call == call
            and first.streamed == streamed
            and first.manner == manner
        ):
            return 0
        for place, kept in enumerate(self.about.forms):
            if (kept.wire, kept.call, kept.streamed, kept.manner) == wanted:
                return place
        return None

    def body(self, place: int) -> bytes:
        """Return the body of one form: bytes, for other plugins may look at it."""
        forms = self.about.forms
        start = forms[place - 1].end if place else 0
        return bytes(self.entry.body[start : forms[place].end])

    def reply(self, place: int, added: Sequence[RawHeader] | bytes = ()) -> Reply:
        """Return one form as a reply, with further header fields."""
        fields = self.about.forms[place].fields if place else self.entry.fields
        return Reply(self.entry.status, StoredHeaders(fields, added), self.body(place))

    def stored(self, place: int) -> StoredReply:
        """Return one form as a reply that can be told in another."""
        fields = self.about.forms[place].fields if place else self.entry.fields
        return StoredReply(self.entry.status, StoredHeaders(fields).raw, self.body(place))

    def source(self, form: Form) -> int:
        """Return from which of its forms another is best derived: one of the same call, else the provider's own."""
        forms = self.about.forms
        for place, kept in enumerate(forms):
            if (kept.wire, kept.call) == form[:2]:
                return place
        return next((place for place, kept in enumerate(forms) if not kept.translated), 0)

    def with_form(self, form: Form, reply: StoredReply) -> Entry | None:
        """Return the entry with one more form, or None if it has enough."""
        about, entry = self.about, self.entry
        if len(about.forms) >= MOST_FORMS:
            return None
        body = bytes(entry.body) + bytes(reply.body)
        told = FormKept(*form, len(body), wire_fields(reply.headers))
        more = msgspec.structs.replace(about, forms=(*about.forms, told))
        return Entry(
            entry.status,
            entry.fields,
            body,
            mark=entry.mark,
            slots=entry.slots,
            stored=entry.stored,
            meta=_encoder.encode(more),
        )


def read(entry: Entry, *, soft: bool = False) -> Kept:
    """Read what is known of an entry.

    Raises:
        BadEntry: it is none of this cache's.
    """
    try:
        about = _decoder.decode(entry.meta)
    except msgspec.MsgspecError as fault:
        raise BadEntry("what is known of the entry cannot be read") from fault
    if not about.forms or about.forms[-1].end != len(entry.body):
        raise BadEntry("the entry's forms are not as long as its body")
    return Kept(entry, about, soft)


def pack_about(about: About) -> bytes:
    """Return what is known of an entry as its meta."""
    return _encoder.encode(about)


#: Header fields that are about one call, connection or moment, and not about the answer.
_OF_THE_MOMENT: Final = frozenset(
    b"""
    age alt-svc cache-control cache-status cf-cache-status cf-ray connection content-length date expires keep-alive nel
    pragma proxy-authenticate proxy-connection report-to retry-after retry-after-ms server-timing set-cookie
    strict-transport-security te trailer transfer-encoding upgrade vary via x-envoy-upstream-service-time
    x-llmproxy-saved x-request-id
    """.split()
)

#: What stands in the names of fields that are about one call, and nobody's but its own caller's.
_OF_ONE_CALL: Final = re.compile(
    rb"set-cookie|request-?id|rate-?limit|trace|baggage|^b3$|^cf-ray$|processing-ms|server-timing"
)


class _Lasting(Spellings):
    """Remembers of each spelling of a field's name whether the field is true of more than one call."""

    def __missing__(self, name: bytes) -> bool:
        lasts = super().__missing__(name) and not _OF_ONE_CALL.search(name.lower().replace(b"_", b"-"))
        if name in self:
            self[name] = lasts
        return lasts


_lasts: Final = _Lasting(_OF_THE_MOMENT)
_for_all: Final = _Lasting(frozenset())


def common_fields(headers: Headers) -> Headers:
    """Return the header fields that everybody may have whom one call has answered."""
    if all(_for_all[name] for name, _ in headers.raw):
        return headers
    return Headers([pair for pair in headers.raw if _for_all[pair[0]]])


def lasting_fields(headers: Iterable[RawHeader]) -> bytes:
    """Return, as an entry keeps them, the header fields that are still true when the answer is given again."""
    pairs = [pair for pair in headers if _lasts[pair[0]]]
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs])
