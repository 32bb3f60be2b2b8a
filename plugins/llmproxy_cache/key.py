"""The key of an answer: a digest of everything that can change it.

Two layers. The *content digest* covers what is asked: the format of keys, how texts are compared, the dialect, the kind
of call, path and query (so the API's version), version headers, the public model, the models and upstreams behind it,
and the body in its one form, after the edits of plugins. The *store key* adds who may share it: tenant and route, as
all keys of stores have them, and the scope. No text is in either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from llmproxy.caches import Lately
from llmproxy.plugin import (
    Endpoint,
    Exchange,
    Form,
    KeyRules,
    Reading,
    key_rules_of,
    store_key,
)
from llmproxy_cache.crossing import crossed
from llmproxy_cache.determinism import Facts
from llmproxy_cache.longnumbers import long_numbers
from llmproxy_cache.normalise import Normaliser

#: Raised whenever the same request gives another digest.
FORMAT: Final = "1"

#: Bytes of a body above which it is read for what must be known of it, and otherwise counts as it came.
HUGE: Final = 1024 * 1024
#: Bodies up to here are remembered themselves, larger ones by a digest.
_SMALL: Final = 1024
_REMEMBERED: Final = 1024
#: Bytes of a body above which what it said is not kept for whoever is asked next.
_LARGE: Final = 64 * 1024

#: Heads that are remembered, digested.
_MOST_HEADS: Final = 256

_LINE: Final = b"\n"
#: Bytes of a question's digest.
_DIGEST: Final = 32


class Unreadable(ValueError):
    """The body is no JSON that could be compared."""


class Keyed:
    """What is asked, as a digest, and what matters of it to a cache.

    `form` is the one that the caller asked for; `refusal` says why the answer must not be kept, if it must not.
    """

    __slots__ = ("digest", "facts", "form", "refusal")

    def __init__(self, digest: bytes, facts: Facts, form: Form | None = None, refusal: str = "") -> None:
        self.digest = digest
        self.facts = facts
        self.form = form
        self.refusal = refusal


class Named(NamedTuple):
    """What a key is made of before the body: each part by its name."""

    names: tuple[str, ...]
    values: tuple[str, ...]


class KeyMaker:
    """Makes the keys of one route.

    Args:
        normaliser: says when two prompt texts mean the same.
        ignore: further fields of bodies that count for nothing on this route.
        headers: further request header fields that count, lower case.
        across: whether dialects share what means the same in all of them.
        huge: bytes above which a body counts as it came.
        form_of: says in which form a caller wants its answer.
        judge: says why an answer must not be kept, by what matters of its request; nothing where it may be.
    """

    def __init__(
        self,
        normaliser: Normaliser,
        *,
        ignore: Iterable[str] = (),
        headers: Iterable[str] = (),
        across: bool = False,
        huge: int = HUGE,
        form_of: Callable[[Exchange], Form | None] = lambda _: None,
        judge: Callable[[Facts], str] = lambda _: "",
    ) -> None:
        self._normaliser = normaliser
        self._ignore = tuple(ignore)
        #: Names the reading of a body: what another one kept is another's answer.
        self._reading = "\0".join([normaliser.version, *sorted(self._ignore)])
        self._headers = tuple(name.lower().encode() for name in headers)
        self._across = across
        self._huge = huge
        self._form_of = form_of
        self._judge = judge
        self._heads: dict[Any, tuple[Sequence[Endpoint], blake2b]] = {}
        #: The last body that was read for a key, and what it said.
        self._last: tuple[bytes, Reading] | None = None
        self._known: Lately[Any, Keyed] = Lately(_REMEMBERED)

    def keyed(self, exchange: Exchange, body: bytes) -> Keyed:
        """Return the digest of what an exchange asks; `body` is the caller's, after edits.

        Raises:
            Unreadable: it is no JSON, or too deep to be compared.
        """
        index = exchange.request.headers.index
        rules = key_rules_of(exchange)
        fields = self.fields(exchange, rules)
        name = (
            body if len(body) <= _SMALL else blake2b(body).hexdigest(),  # text, which no body is
            exchange.request.target,
            exchange.model,
            _places(exchange.endpoints),
            fields,
            None if rules is not None else index.get(b"content-type"),
        )
        known = self._known[name]
        if known is None:
            known = self._made(exchange, rules, body, fields)
            self._known.keep(name, known)
        return known

    def fields(self, exchange: Exchange, rules: KeyRules | None) -> tuple[bytes | None, ...]:
        """Return the values of the header fields that count."""
        headers, names = exchange.request.headers, self._names(rules)
        if len(headers.index) == len(headers.raw):
            return tuple([headers.index.get(name) for name in names])
        # Something stands there twice; two lines of one list are one list (RFC 9110 §5.3).
        said = [[value for name, value in headers.raw if name.lower() == each] for each in names]
        return tuple([b", ".join(values) if values else None for values in said])

    def head(
        self,
        exchange: Exchange,
        rules: KeyRules | None,
        fields: tuple[bytes | None, ...],
        *,
        crossing: bool = False,
    ) -> Named:
        """Return the parts of a key that stand beside the body."""
        request, face = exchange.request, exchange.client_face
        first = exchange.endpoints[0] if exchange.endpoints else None
        names = ["format", "normalisation", "model", "upstream model", "upstreams"]
        values = [
            FORMAT,
            self._reading,
            exchange.model or "",
            "" if first is None else first.model or exchange.model or "",
            _upstreams(exchange.endpoints),
        ]
        query = _query(request.query, rules)
        if not crossing:
            names += ["dialect", "call", "path", "query"]
            values += [
                "" if face is None else face.wire,
                "" if rules is None else rules.kind,
                _path(request.path, rules),
                query,
            ]
        elif query:
            names.append("query")
            values.append(f"query: {query}")
        if rules is None:
            names.append("content type")
            values.append(request.headers.get("content-type") or "")
        passed = rules.versions if crossing and rules is not None else ()
        for name, value in zip(self._names(rules), fields, strict=True):
            if value is not None and name.decode() not in passed and (text := _field(name, value, rules)):
                names.append(f"header {name.decode()}")
                values.append(f"{name.decode()}: {text}")
        return Named(tuple(names), tuple(values))

    def read(self, rules: KeyRules, body: bytes) -> Reading:
        """Read a body by its rules, the route's own exceptions left out."""
        try:
            parsed = orjson.loads(body)
            if type(parsed) is not dict:
                raise Unreadable
            reading = rules.read(parsed, self._normaliser.text)
        except (orjson.JSONDecodeError, RecursionError, TypeError) as fault:
            raise Unreadable from fault
        for name in self._ignore:
            reading.counted.pop(name, None)
        return reading

    def read_again(self, rules: KeyRules, body: bytes) -> Reading:
        """Read a body that a key was just made of, as `read` does; the caller may change what it gets."""
        last, self._last = self._last, None
        return last[1] if last is not None and last[0] is body else self.read(rules, body)

    def meaning(self, exchange: Exchange, body: bytes) -> bytes | None:
        """Return what a request means in no dialect's words, where that is what counts."""
        return crossed(exchange, body, self._normaliser.text) if self._across else None

    def _made(
        self, exchange: Exchange, rules: KeyRules | None, body: bytes, fields: tuple[bytes | None, ...]
    ) -> Keyed:
        if rules is None:
            facts, digest = Facts(), _digest(self.head(exchange, rules, fields).values, body)
        else:
            reading = self.read(rules, body)
            facts = Facts(rules.kind, rules.deterministic, reading.temperature, reading.grounds, reading.user)
            digest = self._digest(exchange, rules, body, fields, reading)
            self._last = (body, reading) if len(body) <= _LARGE else None
        return Keyed(digest, facts, self._form_of(exchange), self._judge(facts))

    def _digest(
        self,
        exchange: Exchange,
        rules: KeyRules,
        body: bytes,
        fields: tuple[bytes | None, ...],
        reading: Reading,
    ) -> bytes:
        canonical = self.meaning(exchange, body)
        if canonical is None and len(body) <= self._huge:
            digest = self.begun(exchange, rules, fields)
            digest.update(_dumped(reading.counted) + long_numbers(body))
            return digest.digest()
        head = self.head(exchange, rules, fields, crossing=canonical is not None).values
        if canonical is not None:
            return _digest((*head, "crossing"), canonical + long_numbers(body))
        return _digest((*head, "huge"), body)

    def begun(self, exchange: Exchange, rules: KeyRules, fields: tuple[bytes | None, ...]) -> blake2b:
        """Return the digest as far as the head makes it, which many bodies have in common."""
        target, face, endpoints = exchange.request.target, exchange.client_face, exchange.endpoints
        # Rules and faces live as long as the route does.
        name = (target, exchange.model, fields, id(rules), id(face))
        known = self._heads.get(name)
        if known is None or known[0] is not endpoints:
            head = _headed(self.head(exchange, rules, fields).values)
            known = endpoints, blake2b(head, digest_size=_DIGEST)
            if len(target) <= _SMALL:
                if len(self._heads) >= _MOST_HEADS:
                    self._heads.clear()
                self._heads[name] = known
        return known[1].copy()

    def _names(self, rules: KeyRules | None) -> tuple[bytes, ...]:
        named = () if rules is None else rules.header_names
        return named + self._headers if self._headers else named


def final_key(tenant: str, route: str, digest: bytes, scope: str = "", sharer: str = "") -> bytes:
    """Return the key under which a store keeps an answer; `sharer` is who shares it, beyond tenant and route.

    Different tenants, routes, scopes, sharers and digests never give the same key.
    """
    if scope in ("", "tenant"):
        return store_key(tenant, route, "llm", digest)
    if scope == "public":
        # Of all tenants, so of none: the next part tells it from a tenant that is called so.
        return store_key("public", route, "llm-public", digest)
    who = blake2b(orjson.dumps([scope, sharer]), digest_size=16).digest()
    return store_key(tenant, route, "llm", digest, who)


def key_start(tenant: str, route: str, scope: str) -> bytes:
    """Return what stands before the digest of a question in the keys that a tenant, or everybody, shares."""
    blank = bytes(_DIGEST)
    return final_key(tenant, route, blank, scope)[: -len(blank)]


def _headed(head: tuple[str, ...]) -> bytes:
    # JSON holds no line's end outside of its strings, so nothing of the head can pass for content.
    return orjson.dumps(head) + _LINE


def _digest(head: tuple[str, ...], content: bytes) -> bytes:
    return blake2b(_headed(head) + content, digest_size=_DIGEST).digest()


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as fault:
        raise Unreadable from fault


def _field(name: bytes, value: bytes, rules: KeyRules | None) -> str:
    """Return a header field's value in one form: a list's members sorted, nothing where it says nothing."""
    text = value.decode("latin-1")
    if "," in text:
        text = ",".join(sorted(member.strip() for member in text.split(",")))
    return "" if rules is not None and rules.headers.get(name.decode()) == text else text


def _path(path: str, rules: KeyRules | None) -> str:
    for verb in () if rules is None else rules.verbs:
        if path.endswith(verb):
            return path[: -len(verb)]
    return path


def _query(query: str, rules: KeyRules | None) -> str:
    if not query or rules is None or not rules.form_query:
        return query
    return "&".join(pair for pair in query.split("&") if pair.partition("=")[0] not in rules.form_query)


def _places(endpoints: Sequence[Endpoint]) -> Any:
    """Return what tells one list of endpoints from another; nearly always there is one."""
    if len(endpoints) == 1:
        return endpoints[0].upstream, endpoints[0].model
    return tuple([(each.upstream, each.model) for each in endpoints])


def _upstreams(endpoints: Sequence[Endpoint]) -> str:
    """Return the upstreams that may give the first one's answer, whichever of them is first today."""
    if len(endpoints) == 1:
        return endpoints[0].upstream
    return "\0".join(sorted({each.upstream for each in endpoints if each.model == endpoints[0].model}))
