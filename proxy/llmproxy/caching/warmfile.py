"""A warm file: a request a line, as JSON; beside it, if it is to be pinned, the answer.

    {"path": "/v1/chat/completions", "tenant": "acme", "body": {"model": "gpt", "messages": [...], "temperature": 0}}
    {"url": "https://shop.test/catalogue/1", "headers": {"Accept-Language": "de"}}
    {"path": "/v1/chat/completions", "body": {...}, "reply": {"text": "We are open from 9 to 5.", "ttl": "30d"}}

`tenant` and `key` (a key's public name) say for whom; without them the request's own credentials do. A reply's
`text` is what a model says, told in the dialect of the request; `status`, `headers` and `body` say all of it instead.
Empty lines, and lines that begin with #, say nothing. What is wrong with a line is told without its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson

from llmproxy.caching.fate import FOREVER, Pinned
from llmproxy.exchange import ANONYMOUS, Caller
from llmproxy.messages import Headers, StoredReply
from llmproxy.suggestions import nearest
from llmproxy.units import parse_duration

_KNOWN: Final = ("method", "path", "url", "headers", "body", "tenant", "key", "labels", "reply")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REPLY: Final = ("status", "headers", "body", "text", "ttl")


class Wanted(NamedTuple):
    """One request that somebody wants to be made or looked into, and whose; `pinned` answers it."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    scheme: str = "http"
    caller: Caller = ANONYMOUS
    pinned: Pinned | None = None


class BadLine(ValueError):
    """What was written is no such request; the message never repeats a value."""


#: A line's number, and what it wants or what is wrong with it.
Line = tuple[int, Wanted | BadLine]


def read_lines(data: bytes) -> Iterator[Line]:
    """Give each line's number and what it wants, or what is wrong with it."""
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.strip()
        if text and not text.startswith(b"#"):
            try:
                yield number, read_wanted(text)
            except BadLine as fault:
                yield number, fault


def read_wanted(text: bytes) -> Wanted:
    """Read one request.

    Raises:
        BadLine: it is none, and why.
    """
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadLine("not JSON") from None
    if not isinstance(tree, dict):
        raise BadLine("should be a JSON object")
    _refuse_unknown(tree, _KNOWN)
    headers, body = _headers(tree), _body(tree)
    _add_type(headers, tree.get("body"))
    scheme, target, host = _place(tree)
    if host:
        headers.set("host", host)
    return Wanted(
        _text(tree, "method", "POST" if body else "GET").upper(),
        target,
        headers,
        body,
        scheme,
        _caller(tree),
        _pinned(tree),
    )


def _refuse_unknown(tree: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in tree:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
            raise BadLine(f"a member is not known; {hint}")


def _place(tree: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return scheme, target and host."""
    path, url = _text(tree, "path"), _text(tree, "url")
    if path and not url:
        if not path.startswith("/"):
            raise BadLine("'path' should begin with '/'")
        return "http", path, ""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadLine("'url' should be a URL such as https://host/path") from None
    if path or parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
        raise BadLine("either 'path' should be there, or 'url' as in https://host/path")
    return parts.scheme, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), parts.netloc


def _headers(tree: Mapping[str, Any]) -> Headers:
    given = tree.get("headers", {})
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadLine("'headers' should be an object of texts")
    if any(_CONTROL.search(value) for value in given.values()):
        raise BadLine("'headers' should hold no line's end")
    if not all(_TOKEN.fullmatch(name) for name in given):
        raise BadLine("'headers' should have names of header fields")
    return Headers.of(given)


def _body(tree: Mapping[str, Any]) -> bytes:
    body = tree.get("body", "")
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def _add_type(headers: Headers, body: object) -> None:
    if body is not None and not isinstance(body, str) and "content-type" not in headers:
        headers.add("Content-Type", "application/json")


def _caller(tree: Mapping[str, Any]) -> Caller:
    tenant, key, labels = _text(tree, "tenant"), _text(tree, "key"), tree.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadLine("'labels' should be an object of texts")
    if not tenant and (key or labels):
        raise BadLine("'key' and 'labels' need a 'tenant'")
    return Caller(tenant, key, tuple(labels.items())) if tenant else ANONYMOUS


def _pinned(tree: Mapping[str, Any]) -> Pinned | None:
    reply = tree.get("reply")
    if reply is None:
        return None
    if not isinstance(reply, dict):
        raise BadLine("'reply' should be an object")
    _refuse_unknown(reply, _REPLY)
    status, headers = reply.get("status", 200), _headers(reply)
    if type(status) is not int or not 200 <= status <= 599:
        raise BadLine("'reply.status' should be a number from 200 to 599")
    _add_type(headers, reply.get("body"))
    text = _text(reply, "text")
    if text and "body" in reply:
        raise BadLine("either 'reply.body' should be there, or 'reply.text'")
    if text and "content-type" not in headers:
        headers.add("Content-Type", "text/plain; charset=utf-8")
    stored = StoredReply(status, headers.raw, text.encode() or _body(reply))
    try:
        return Pinned(stored, parse_duration(_text(reply, "ttl")) if "ttl" in reply else FOREVER, text)
    except ValueError:
        raise BadLine("'reply.ttl' should be a time such as 30d") from None


def _text(tree: Mapping[str, Any], name: str, default: str = "") -> str:
    value = tree.get(name, default)
    if not isinstance(value, str):
        raise BadLine(f"'{name}' should be text")
    return value
