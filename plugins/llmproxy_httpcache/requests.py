"""What a request asks of a cache, read once (RFC 9111 §5.2.1, RFC 9110 §13, §14)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from llmproxy_httpcache.directives import NO_DEMANDS, RequestControl, request_control
from llmproxy_httpcache.headers import Fields, RawHeader

#: Methods whose answers change nothing, so that none of them invalidates (RFC 9110 §9.2.1, IANA's registry).
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH", "PRI"})

#: Methods whose bodies mean nothing.
BODILESS: Final = frozenset({"GET", "HEAD"})

# Credentials that a caller sends to the origin. RFC 9111 §3.5 knows Authorization; the others are as telling.
_CREDENTIALS: Final = frozenset(
    b"authorization cookie x-api-key api-key x-auth-token x-goog-api-key x-access-token".split()
)
#: Words in the names of other fields by which origins tell callers apart.
_WHO: Final = re.compile(
    rb"(?:.*[-_.])?(?:(?:o|saml)?auth[a-z0-9]*|oidc|saml|sso|jwt|[a-z]*token|bearer|cookie|[a-z]*session|sessionid|sid"
    rb"|[a-z]*secret|pass(?:word|wd|phrase)|credentials?|[a-z]*key|assertion|signature|dpop|[a-z]*cert|certificate"
    rb"|user|user[-_]?(?:id|name)|username|uid|e?mail|account|principal|identity|impersonate|login|subject|tenant"
    rb"|customer|consumer|org|organi[sz]ation|groups?|roles?|permissions?)"
    rb"(?:[-_.](?:id|name|data|value|info|key))?"
)
_NOBODY: Final = frozenset(
    b"idempotency-key x-idempotency-key sec-fetch-user sec-websocket-key x-cache-key".split()
)
#: Names that were looked at and say nothing; callers choose them, so there is an end to it.
_harmless: Final[set[bytes]] = set()
_MOST_HARMLESS: Final = 4096
_LONGEST: Final = 128

# Fields that stay on one hop whether or not Connection names them (RFC 9110 §7.6.1).
_ONE_HOP: Final = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)
#: What Connection says nearly always.
_COMMON: Final = frozenset({b"keep-alive", b"Keep-Alive", b"close"})

#: Conditions that only the origin can judge; and those that mean "not modified" to these methods alone (RFC 9110 §13).
_PRECONDITIONS: Final = (b"if-match", b"if-unmodified-since")
_CONDITIONAL: Final = frozenset({"GET", "HEAD", "QUERY"})
_TELLING: Final = frozenset(
    {
        b"cache-control",
        b"if-none-match",
        b"if-modified-since",
        b"if-range",
        b"range",
        *_PRECONDITIONS,
        *_CREDENTIALS,
    }
)

#: Fields of the caller that are left out where the gateway asks for the whole answer.
CONDITIONS: Final = frozenset({b"if-none-match", b"if-modified-since", b"if-range", b"range"})


class Asked(msgspec.Struct, kw_only=True, gc=False):
    """A request as a cache sees it. Fields that the caller did not send are None."""

    method: str
    control: RequestControl = NO_DEMANDS
    none_match: bytes | None = None
    modified_since: bytes | None = None
    range: bytes | None = None
    if_range: bytes | None = None
    #: Whether it has an Authorization field for the origin.
    authorized: bool = False
    #: What tells the origin who asks.
    credentials: tuple[RawHeader, ...] = ()
    #: What may tell it too, to judge by the fields' names.
    hints: tuple[RawHeader, ...] = ()
    #: Whether it has a condition that only the origin can judge, or fields here that the origin will not see.
    precondition: bool = False
    #: Whether any fresh answer will do as it is.
    plain: bool = False

    def __post_init__(self) -> None:
        self.plain = (
            not self.control.demands and not self.conditional and self.range is None and not self.precondition
        )

    @property
    def conditional(self) -> bool:
        """Whether it asks for an answer only if that is another than the caller's."""
        return self.none_match is not None or self.modified_since is not None

    @property
    def whole(self) -> Asked:
        """The same request without conditions and ranges."""
        return Asked(
            method=self.method,
            control=self.control,
            authorized=self.authorized,
            credentials=self.credentials,
            hints=self.hints,
        )


_PLAIN: Final = {method: Asked(method=method) for method in ("GET", "HEAD", "POST", "QUERY")}


def read_request(
    method: str,
    raw: list[RawHeader],
    last: Mapping[bytes, bytes],
    spent: Collection[bytes] = (),
    *,
    obey: bool = True,
) -> Asked:
    """Read a request; `last` are the last values by name, `spent` names that go no further than the gateway.

    With `obey` off, what the caller says in Cache-Control counts for nothing.
    """
    if last.keys() <= _harmless and (plain := _PLAIN.get(method)) is not None:
        connection = last.get(b"connection")
        if connection is None or (connection in _COMMON and len(raw) == len(last)):
            return plain
    hinting = _telling(last) - _TELLING
    fields = Fields(raw, last)
    control = request_control(fields.get(b"cache-control")) if obey else NO_DEMANDS
    ranged = fields.get(b"range") if method == "GET" else None
    credentials = tuple(
        pair for pair in raw if (name := pair[0].lower()) in _CREDENTIALS and name not in spent
    )
    return Asked(
        method=method,
        control=control,
        none_match=fields.get(b"if-none-match"),
        modified_since=fields.get(b"if-modified-since"),
        range=ranged,
        if_range=None if ranged is None else fields.get(b"if-range"),
        authorized=b"authorization" in last and b"authorization" not in spent,
        credentials=credentials,
        hints=tuple(pair for pair in raw if (name := pair[0].lower()) in hinting and name not in spent),
        precondition=any(name in last for name in _PRECONDITIONS)
        or (method not in _CONDITIONAL and not last.keys().isdisjoint(CONDITIONS))
        or _withholds(fields),
    )


def has_body(last: Mapping[bytes, bytes]) -> bool:
    """Whether a request has a body, by the last values of its fields."""
    return last.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in last


def _telling(last: Mapping[bytes, bytes]) -> frozenset[bytes]:
    """Return the names that matter here."""
    names = last.keys() - _harmless
    harmless = [name for name in names if name not in _TELLING and not _tells_who(name)]
    if len(_harmless) + len(harmless) > _MOST_HARMLESS:
        _harmless.clear()
    _harmless.update(harmless[:_MOST_HARMLESS])
    return frozenset(names.difference(harmless))


def _tells_who(name: bytes) -> bool:
    return len(name) <= _LONGEST and _WHO.fullmatch(name) is not None and name not in _NOBODY


def _withholds(fields: Fields) -> bool:
    """Whether Connection takes fields out on the way, so that the origin sees another request than this cache."""
    listed = fields.get(b"connection") or b""
    return any(
        name in fields.last and name not in _ONE_HOP
        for part in listed.split(b",")
        if (name := part.strip().lower())
    )
