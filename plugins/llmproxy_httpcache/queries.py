"""A GraphQL request as a cache sees it: whether it only reads, and what it means (GraphQL over HTTP; Apollo's APQ)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes

import orjson

from llmproxy_httpcache.graphql import BadDocument, read_document
from llmproxy_httpcache.jsonform import NoForm, elements_of, form_of, members_of

#: `query` may be stored; `hashed` is known by the digest of its document alone; `safe` changes nothing and is not
#: stored; `unsafe` changes something, or may.
QueryKind = Literal["query", "hashed", "safe", "unsafe"]

#: What GET says in parameters and POST in members (GraphQL over HTTP §5.1).
PARAMETERS: Final = ("query", "operationName", "variables", "extensions")
_ENCODED: Final = frozenset({"variables", "extensions"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NOTHING: Final = frozenset({b"null", b"{}"})


class Query(NamedTuple):
    """One request: `form` is what it means, `why` it is not stored, `hash` and `text` its persisted document.

    `name` is the operation that is asked for, where one is named.
    """

    kind: QueryKind
    form: tuple[bytes, ...] = ()
    why: str = ""
    hash: str = ""
    text: str = ""
    name: str | None = None


class Bounds(NamedTuple):
    """How long a request may be (bytes) and how deep its document."""

    length: int = 1 << 18
    depth: int = 64


def read_post(body: bytes, described: tuple[bytes, bytes], bounds: Bounds) -> Query:
    """Read the body of a POST; `described` are its Content-Type and Content-Encoding."""
    media = described[0].lower().replace(b" ", b"").replace(b'"', b"")
    if media not in {b"application/json", b"application/json;charset=utf-8"} or described[1]:
        return Query("unsafe", why="content-type")
    if len(body) > bounds.length:
        return Query("unsafe", why="size")
    return _remembered(body, bounds) if len(body) <= _LONGEST else _read_body(body, bounds)


def _read_body(body: bytes, bounds: Bounds) -> Query:
    try:
        if body.lstrip(b" \t\r\n")[:1] == b"[":
            return _batch([_read_members(members_of(each), bounds) for each in elements_of(body)])
        return _read_members(members_of(body), bounds)
    except (NoForm, UnicodeDecodeError):
        return Query("unsafe", why="unreadable")


#: Longer bodies than people write are read anew each time, so that they do not fill the memory.
_LONGEST: Final = 4096
_remembered: Final = lru_cache(maxsize=1024)(_read_body)


def _batch(queries: list[Query]) -> Query:
    changes = any(each.kind in {"unsafe", "hashed"} for each in queries)
    return Query("unsafe" if changes else "safe", why="batch")


def read_get(query: str, bounds: Bounds) -> tuple[Query, str] | None:
    """Read the query of a GET; return it and the parameters that are not GraphQL's. None if there is none of those.

    A server refuses to change anything for GET, so that a persisted document may be taken for a query.
    """
    pairs = query.split("&")
    ours = [pair for pair in pairs if pair.partition("=")[0] in PARAMETERS]
    if not ours:
        return None
    rest = "&".join(pair for pair in pairs if pair not in ours)
    if len(query) > bounds.length:
        return Query("safe", why="size"), rest
    found = _read_parameters(
        [(name, value) for name, _, value in (pair.partition("=") for pair in ours)], bounds
    )
    return found._replace(kind="query") if found.kind == "hashed" else found, rest


def names_parameters(query: str) -> bool:
    """Whether the target of a POST says what its body should: then servers may take either."""
    return any(unquote_plus(pair.partition("=")[0]) in PARAMETERS for pair in query.split("&"))


def _read_parameters(pairs: list[tuple[str, str]], bounds: Bounds) -> Query:
    if len({name for name, _ in pairs}) < len(pairs):
        return Query("safe", why="unreadable")
    try:
        members = {name: _parameter(name, value) for name, value in pairs}
    except (NoForm, UnicodeDecodeError):
        return Query("safe", why="unreadable")
    found = _read_members(members, bounds)
    # A plus is a blank to most servers and a plus to some.
    plain = all("+" not in value for _, value in pairs)
    return found if plain else found._replace(form=(*found.form, b"+", *(v.encode() for _, v in pairs)))


def _parameter(name: str, value: str) -> bytes:
    data = unquote_to_bytes(value.replace("+", " "))
    return form_of(data) if name in _ENCODED and data else orjson.dumps(data.decode())


def _read_members(members: Mapping[str, bytes], bounds: Bounds) -> Query:
    """Read what a request says; each value stands in its one form."""
    said = {name: value for name, value in members.items() if value not in _NOTHING or name not in PARAMETERS}
    name, persisted = _string(said.get("operationName")), _persisted(said.get("extensions", b""))
    if "query" not in said and persisted:
        return Query("hashed", (b"hash", *_listed(said)), hash=persisted, name=name)
    text = _string(said.pop("query", None))
    if text is None:
        return Query("unsafe", why="no-document")
    try:
        document = read_document(text, bounds.depth)
    except BadDocument:
        return Query("unsafe", why="document")
    kind = document.kind_of(name)
    if kind != "query":
        changes = kind == "mutation" or (kind is None and _changes(document.operations))
        return Query("unsafe" if changes else "safe", why=kind or "operation")
    known = bool(persisted) and sha256(text.encode()).hexdigest() == persisted
    if known:
        del said["extensions"]
    form = (b"text", document.text.encode(), *_listed(said))
    return Query("query", form, hash=persisted if known else "", text=text if known else "", name=name)


def _changes(operations: tuple[object, ...]) -> bool:
    return any(getattr(each, "kind", "") == "mutation" for each in operations) or not operations


def _listed(said: Mapping[str, bytes]) -> list[bytes]:
    return [part for name in sorted(said) for part in (name.encode(), said[name])]


def _string(form: bytes | None) -> str | None:
    value = None if form is None else orjson.loads(form)
    return value if isinstance(value, str) else None


def _persisted(extensions: bytes) -> str:
    """Return the digest of a persisted document, where the extensions say that and nothing else."""
    if not extensions:
        return ""
    told = orjson.loads(extensions)
    persisted = told.get("persistedQuery") if isinstance(told, dict) and len(told) == 1 else None
    if not isinstance(persisted, dict) or persisted.keys() != {"version", "sha256Hash"}:
        return ""
    digest = persisted["sha256Hash"]
    fits = persisted["version"] == 1 and isinstance(digest, str) and _SHA256.fullmatch(digest)
    return digest if fits else ""
