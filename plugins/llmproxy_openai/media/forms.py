"""Forms with a recording or pictures (RFC 7578), read and written."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.canonical import inline_of
from llmproxy.plugin import BadField, media_type
from llmproxy_openai.multipart import boundary_of, fields

if TYPE_CHECKING:
    from llmproxy.canonical import Inline
    from llmproxy.plugin import Exchange

_FILENAME: Final = re.compile(rb'(?i)content-disposition:[^\r\n]*?[;\s]filename=(?:"([^"\r\n]*)"|([^\s;"]+))')
_TYPE: Final = re.compile(rb"(?i)content-type:[ \t]*([^\r\n;]+)")
_ANYTHING: Final = "application/octet-stream"
#: A form repeats a member's name, with or without these, for each of its values.
_LIST: Final = "[]"
#: Larger numbers are no longer told apart.
_MOST: Final = 2**53


class File(NamedTuple):
    """A file of a form: its name there, its type as declared, its bytes."""

    name: str
    media_type: str
    data: bytes

    def inline(self) -> Inline:
        """Return it as a piece of a request."""
        return inline_of(b64encode(self.data).decode(), self.media_type)


class Sent(NamedTuple):
    """What a caller sent: members as JSON has them, and the files of a form by their member's name."""

    members: dict[str, Any]
    files: dict[str, list[File]]


def read_sent(exchange: Exchange, body: bytes) -> Sent:
    """Read a form, or JSON.

    Raises:
        BadField: it is neither.
    """
    if media_type(exchange.request) == b"multipart/form-data":
        return read_form(body, exchange.request.headers.index.get(b"content-type", b""))
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadField("invalid_json", f"The request's body is not JSON: {fault}.") from None
    if type(told) is not dict:
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    return Sent(told, {})


def read_form(body: bytes, content_type: bytes) -> Sent:
    """Read a form: texts as JSON has them, lists where a name stands several times or with brackets."""
    boundary = boundary_of(content_type)
    if boundary is None:
        raise BadField("invalid_form", "The form's Content-Type names no boundary.")
    texts: dict[str, list[str]] = {}
    files: dict[str, list[File]] = {}
    lists = set()
    for name, start, end in fields(body, boundary):
        head = body[body.rfind(b"\r\n--" + boundary, 0, start) + 1 : start]
        plain = name.removesuffix(_LIST)
        if plain != name:
            lists.add(plain)
        if found := _FILENAME.search(head):
            declared = _TYPE.search(head)
            kind = declared[1].strip().decode("latin-1").lower() if declared else _ANYTHING
            filename = (found[1] or found[2] or b"").decode("utf-8", "replace")
            files.setdefault(plain, []).append(File(filename, kind, body[start:end]))
        else:
            texts.setdefault(plain, []).append(body[start:end].decode("utf-8", "replace"))
    told = {name: held if name in lists or len(held) > 1 else held[0] for name, held in texts.items()}
    return Sent(told, files)


def number_of(told: dict[str, Any], key: str, *, whole: bool = False) -> Any:
    """Return a number, of a form too, or None.

    Raises:
        BadField: it is none.
    """
    value = told.get(key)
    if type(value) is str:
        try:
            value = float(value)
        except ValueError:
            value = key
    if value is None:
        return value
    if type(value) not in (int, float) or not abs(value) < _MOST or (whole and value != int(value)):
        raise BadField("invalid_type", f"'{key}' must be a {'whole ' * whole}number.", key)
    return int(value) if whole else value


def flag_of(told: dict[str, Any], key: str) -> bool:
    """Return whether a member says true, in a form too."""
    value = told.get(key)
    return value is True or (type(value) is str and value.strip().lower() in ("true", "1"))


def write_form(texts: Iterable[tuple[str, str]], files: Iterable[tuple[str, File]]) -> tuple[bytes, bytes]:
    """Return a form and its content type."""
    parts = [(f'name="{name}"'.encode(), value.encode()) for name, value in texts] + [
        (
            f'name="{name}"; filename="{_quoted(file.name)}"\r\nContent-Type: {file.media_type}'.encode(),
            file.data,
        )
        for name, file in files
    ]
    boundary = _boundary([value for _, value in parts])
    pieces = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, head, value)
        for head, value in parts
    ]
    return b"".join([*pieces, b"--%b--\r\n" % boundary]), b"multipart/form-data; boundary=" + boundary


def _boundary(values: list[bytes]) -> bytes:
    """Return a separator that stands in none of the values."""
    number = 0
    while any((found := b"llmproxy-form-%d" % number) in value for value in values):
        number += 1
    return found if values else b"llmproxy-form-0"


def _quoted(name: str) -> str:
    return re.sub(r'["\r\n]', "_", name) or "file"
