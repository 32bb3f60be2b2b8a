"""Reads from a JSON body what the gateway acts on: the model's name, and whether a stream is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import orjson

from llmproxy.errors import BadField
from llmproxy.jsonscan import DuplicateKey, Member, member_value, scan

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.messages import ClientRequest

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_JSON: Final = b"application/json"
_FORM: Final = b"multipart/form-data"
_ACTED_ON: Final = frozenset({"model", "stream"})


#: `model` with capitals in it. Servers in Go and C# take such a member for the model's name, and the last one counts:
#: whoever may ask for one model could ask for any other beside it.
_MISSPELT: Final = tuple(
    word for letters in product(*zip("model", "MODEL", strict=True)) if (word := "".join(letters)) != "model"
)
_NOTHING: Final[list[tuple[str, Any, Any]]] = [
    (f"not_{number}", Literal["\0"] | None, None) for number in range(len(_MISSPELT))
]
_NAMES: Final = {field[0]: word for field, word in zip(_NOTHING, _MISSPELT, strict=True)}

#: What is acted on, where it has the type that it should have.
_fields: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "Fields",
        [("model", str | None, None), ("stream", bool | None, None), *_NOTHING],
        rename=_NAMES,
        gc=False,
    )
)
#: Reads bodies whose members are spelled right, whatever else is in them.
_spelled: Final = msgspec.json.Decoder(msgspec.defstruct("Spelled", _NOTHING, rename=_NAMES, gc=False))


class BodyReader:
    """Reads bodies whose `model` and `stream` are members of a JSON object; a dialect says the rest.

    `json_paths` are ends of paths whose body is JSON and nothing else, so that any other content type is a mistake
    worth naming. `form_paths` are parts of paths whose forms name a model; the forms of others are files on their way,
    and are not read. `keys` are the members that may be changed later, `bad_model` and `bad_stream` how the dialect
    says that one of them is of another type.
    """

    json_paths: tuple[str, ...] = ()
    form_paths: tuple[str, ...] = ()
    keys: frozenset[str] = _ACTED_ON
    bad_model = "'model' must be a string that names a model."
    bad_stream = "'stream' must be true or false."

    def __init__(self) -> None:
        self._others = tuple(orjson.dumps(key) for key in self.keys - _ACTED_ON)

    def needed(self, request: ClientRequest) -> bool:
        """Say whether the body must be read before the request can be routed."""
        if request.method in _WITHOUT_BODY:
            return False
        kind = media_type(request)
        if kind == _FORM and self.form_paths:
            return self._form_names_model(request.path)
        return _is_json(request, kind) or request.path.endswith(self.json_paths)

    def read(self, exchange: Exchange, body: bytes) -> None:
        """Set the exchange's `model`, `streamed` and `members`; raise `BadField` for broken input."""
        request = exchange.request
        exchange.members, exchange.model, exchange.streamed = {}, None, False
        json_only = request.method == "POST" and request.path.endswith(self.json_paths)
        if not body:
            if json_only:
                raise BadField("invalid_json", "The request has no body; it must be a JSON object.")
            return
        kind = media_type(request)
        if kind == _JSON or _is_json(request, kind):
            if b"content-encoding" in request.headers.index:
                message = "A compressed request body is not read; send it without Content-Encoding."
                raise BadField("unsupported_encoding", message, status=415)
            if not self._read_plainly(exchange, body):
                self._read_exactly(exchange, body)
        elif kind == _FORM and self._form_names_model(request.path):
            self.read_form(exchange, body)
        elif json_only:
            message = "The request's Content-Type must be application/json."
            raise BadField("unsupported_media_type", message, status=415)

    def read_form(self, exchange: Exchange, body: bytes) -> None:
        """Read a form that names a model; none does, unless a dialect has `form_paths`."""

    def check(self, body: bytes, members: Mapping[str, Member]) -> None:
        """Look at the members beyond `model` and `stream`; raise `BadField` where one is broken."""

    def members_of(self, exchange: Exchange, body: bytes) -> Mapping[str, Member]:
        """Return where the members stand that an encoding may change."""
        if not exchange.members and exchange.model is not None:
            exchange.members = scan_members(body, self.keys)
        return exchange.members

    def model(self, value: object) -> str:
        """Return a model's name; raise `BadField` where it is none."""
        if not isinstance(value, str) or not value:
            raise BadField("invalid_type", self.bad_model, "model")
        return value

    def _read_plainly(self, exchange: Exchange, body: bytes) -> bool:
        """Read a body in which each key stands at most once, in one spelling; False where that is not plain to see.

        Where the members stand is found out later, if they are changed at all.
        """
        if body.count(b'"model"') != 1 or body.count(b'"stream"') > 1 or b"\\u00" in body:
            return False
        for key in self._others:
            if key in body:
                return False
        try:
            if not body.isascii():
                body.decode()  # msgspec does not look at the text that it passes over
            told: Any = _fields.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if not told.model:
            return False
        exchange.model = told.model
        exchange.streamed = told.stream is True
        return True

    def _read_exactly(self, exchange: Exchange, body: bytes) -> None:
        members = exchange.members = scan_members(body, self.keys)
        _refuse_misspelt(body)
        if (member := members.get("model")) is not None:
            exchange.model = self.model(orjson.loads(member_value(body, member)))
        if (member := members.get("stream")) is not None:
            value = member_value(body, member)
            if value not in (b"true", b"false", b"null"):
                raise BadField("invalid_type", self.bad_stream, "stream")
            exchange.streamed = value == b"true"
        self.check(body, members)

    def _form_names_model(self, path: str) -> bool:
        return any(part in path for part in self.form_paths)


def media_type(request: ClientRequest) -> bytes:
    """Return the content type without its parameters, in lower case; empty where there is none."""
    value = request.headers.index.get(b"content-type", b"")
    return value if value == _JSON else value.partition(b";")[0].strip().lower()


def scan_members(body: bytes, keys: frozenset[str], path: str = "") -> dict[str, Member]:
    """Find members of a JSON object as `scan` does; raise `BadField` where it is none, or holds one twice.

    `path` is where in the request the object stands, with a dot at its end.
    """
    try:
        return scan(body, keys)
    except DuplicateKey as fault:
        raise BadField("duplicate_key", _sentence(fault), path + fault.key) from None
    except ValueError as fault:
        raise BadField("invalid_json", _sentence(fault), path[:-1] or None) from None


def _refuse_misspelt(body: bytes) -> None:
    """Refuse a JSON object with a member that some servers take for its `model`."""
    try:
        _spelled.decode(body)
    except msgspec.DecodeError:
        message = (
            "The body must write 'model' in small letters: servers disagree on what another spelling means."
        )
        raise BadField("misspelt_key", message, "model") from None


def _is_json(request: ClientRequest, kind: bytes) -> bool:
    return kind == _JSON or kind.endswith(b"+json") or (not kind and request.method == "POST")


def _sentence(fault: BaseException) -> str:
    text = str(fault)
    return text[:1].upper() + text[1:] + "."
