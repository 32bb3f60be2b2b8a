"""A request's template: method, path, query, headers and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec
import orjson

from llmproxy.plugin import (
    BadRequest,
    ClientRequest,
    ConfigError,
    Headers,
    Missing,
    Omitted,
    Reference,
    TextTemplate,
    UpstreamRequest,
    carried_headers,
)
from llmproxy_declared.sources import sources_of, text_template, value_template

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UNFIT: Final = re.compile(r"[^!-~]|[?#\\]")
#: What some servers decode and then read as another place.
_UPWARDS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\;]|$)")
#: Fields that say how a message is carried.
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
#: A value that may hold slashes, each of them one of the path.
_SLASHED: Final = "model_path"


class CallConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one call sends, `path` and `body` above all."""

    path: str
    method: Literal["POST", "PUT", "PATCH", "GET"] = "POST"
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Any = None

    def template(self, known: frozenset[str]) -> RequestTemplate:
        """Return the call's template, which may refer to what is `known`."""
        return RequestTemplate(
            method=self.method,
            path=self.path,
            query=self.query,
            headers=self.headers,
            body=self.body,
            known=known,
        )


class RequestTemplate:
    """Makes wire requests of values."""

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Any,
        known: frozenset[str],
        key: str = "",
    ) -> None:
        """Read the templates.

        Raises:
            ConfigError: one of them cannot be read, or refers to what is not `known`; its path is below `key`.
        """
        self._method = method
        self._path = _path_template(path, f"{key}path", known)
        self._query = {name: text_template(text, f"{key}query.{name}", known) for name, text in query.items()}
        self._headers = {
            name: text_template(text, _field(f"{key}headers", name), known) for name, text in headers.items()
        }
        self._body = None if body is None else value_template(body, f"{key}body", known)
        #: How many stop sequences are sent, where each has a place of its own.
        self.stops = self._stops()
        #: What the templates refer to.
        self.sources = sources_of([self._path, *self._query.values(), *self._headers.values(), self._body])

    def _stops(self) -> int | None:
        found = () if self._body is None else self._body.references()
        places = [each.path[0] if each.path else "" for each in found if each.source == "stop"]
        return len(set(places)) if places and all(place.isdigit() for place in places) else None

    def fill(self, request: ClientRequest, values: Mapping[str, Any]) -> UpstreamRequest:
        """Return the request that is sent for a caller's.

        Raises:
            BadRequest: a value cannot stand where it should.
        """
        headers = carried_headers(request)
        for name, template in self._headers.items():
            self._add(headers, name, template, values)
        target = "".join(self._piece(piece, values) for piece in self._path.pieces)
        body = self._filled(values)
        if body and not headers.has(b"content-type"):
            headers.raw.append((b"Content-Type", b"application/json"))
        return UpstreamRequest(self._method, target + self._parameters(values), headers, body)

    def _filled(self, values: Mapping[str, Any]) -> bytes:
        if self._body is None:
            return b""
        try:
            return orjson.dumps(self._body.fill(values))
        except Omitted:
            return b"{}"
        except (orjson.JSONEncodeError, RecursionError):
            message = "The request holds what cannot be written as JSON for this model's provider."
            raise BadRequest("not_written", message) from None

    def _piece(self, piece: str | Reference, values: Mapping[str, Any]) -> str:
        if isinstance(piece, str):
            return piece
        try:
            text = piece.spell(piece.find(values))
        except Missing:
            raise _unfit(piece.source) from None
        parts = text.split("/") if piece.source == _SLASHED else [text]
        if any(not part.strip(".") for part in parts) or _UPWARDS.search(text) is not None:
            # A segment that is empty or made of dots would be another place.
            raise _unfit(piece.source)
        return "/".join(quote(part, safe="@:,+", errors="replace") for part in parts)

    def _parameters(self, values: Mapping[str, Any]) -> str:
        pairs = []
        for name, template in self._query.items():
            try:
                text = template.fill(values)
            except Missing:
                continue
            pairs.append(f"{quote(name, safe='')}={quote(text, safe='', errors='replace')}")
        return "?" + "&".join(pairs) if pairs else ""

    @staticmethod
    def _add(headers: Headers, name: str, template: TextTemplate, values: Mapping[str, Any]) -> None:
        try:
            text = template.fill(values)
        except Missing:
            return
        if _CONTROL.search(text):
            raise BadRequest("bad_value", f"A value holds a control character, and is to stand in {name!r}.")
        headers.set(name, text.encode("utf-8", "replace").decode("latin-1"))


def _path_template(path: str, key: str, known: frozenset[str]) -> TextTemplate:
    template = text_template(path, key, known)
    written = "".join(piece if isinstance(piece, str) else "x" for piece in template.pieces)
    if not path.startswith("/"):
        raise ConfigError(
            key, f"{path!r} does not begin with a slash; it stands behind the upstream's base_url"
        )
    if _UNFIT.search(written):
        raise ConfigError(key, "holds a space, a query or a fragment; parameters are written in `query`")
    if any(part in {".", ".."} for part in written.split("/")):
        raise ConfigError(key, "holds a segment of dots, which leads elsewhere")
    return template


def _field(place: str, name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
        raise ConfigError(f"{place}.{name}", f"{name!r} cannot be set here")
    return f"{place}.{name}"


def _unfit(source: str) -> BadRequest:
    what = "model's name" if source in {"model", _SLASHED} else f"value of {source!r}"
    return BadRequest("bad_value", f"The {what} cannot stand in the path of this model's provider.")
