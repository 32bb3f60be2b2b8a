"""Errors, told with their own status or in a good answer, whole or in a stream."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
import orjson

from llmproxy.plugin import ConfigError, Headers, ProviderError, error_of
from llmproxy_declared.conditions import Condition
from llmproxy_declared.places import Given, Place
from llmproxy_declared.suggesting import near

#: A word for each kind of error that says so wherever errors are read.
_WORDS: Final = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "quota": "insufficient_quota",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "server": "server_error",
}
#: Where most servers say what is wrong.
_MESSAGE: Final = ("/error/message", "/error", "/message", "/detail", "/errors/0/message", "/errors/0")
_CODE: Final = ("/error/code", "/code", "/error_type", "/errors/0/code")


class ErrorsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How errors are told: `when` says which good answers and events are errors.

    `kinds` says what the endpoint's own codes are: rate_limit, quota, overloaded ... `status` is where an error in a
    good answer has the status that it should have had.
    """

    when: Any = "/error"
    message: Given = _MESSAGE
    code: Given = _CODE
    status: Given = ()
    kinds: dict[str, str] = {}

    def __post_init__(self) -> None:
        _ = ErrorReader(self)
        for code, kind in self.kinds.items():
            if kind not in _WORDS:
                known = ", ".join(_WORDS)
                raise ConfigError(f"kinds.{code}", f"{kind!r} is not one of {known}", near(kind, _WORDS))


class ErrorReader:
    """Reads errors of one endpoint; none of them repeats a `secret` that requests hold."""

    def __init__(self, config: ErrorsConfig, secrets: Collection[str] = ()) -> None:
        self._secrets = secrets
        self._when = Condition(config.when, "when")
        self._message = Place(config.message, "message")
        self._code = Place(config.code, "code")
        self._status = Place(config.status, "status")
        self._kinds = config.kinds

    def told(self, document: Any, event: str = "") -> bool:
        """Whether a good answer, or an event of a stream, is an error."""
        return event == "error" or self._when.holds(document, event)

    def of_body(self, body: bytes, status: int, headers: Headers | None) -> ProviderError:
        """Read the answer of a failed call."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            text = body.decode("utf-8", "replace").strip()
            document = {"message": "" if text.startswith("<") else text}
        return self.read(document, status, headers)

    def read(self, document: Any, status: int = 0, headers: Headers | None = None) -> ProviderError:
        """Read an error; without a status of its own, its words say which it is."""
        code = self._code.name_in(document)
        error: dict[str, Any] = {"message": self._words(document)} | ({"code": code} if code else {})
        own = self._status.find(document)
        if status < 400 and type(own) is int and 400 <= own <= 599:
            status = own
        kind = self._kinds.get(code)
        if kind is None and isinstance(document, dict):
            inner = document["error"] if isinstance(document.get("error"), dict) else document
            error |= {key: inner[key] for key in ("type", "status", "details", "param") if key in inner}
        found = error_of(error, status, headers)
        if kind is None or found.kind == kind:
            return found
        return error_of({**error, "type": _WORDS[kind]}, 0, headers)

    def _words(self, document: Any) -> str:
        value = document if isinstance(document, str) else self._message.find(document)
        if isinstance(value, list | dict):
            try:
                value = orjson.dumps(value).decode()
            except (orjson.JSONEncodeError, RecursionError):
                return ""
        if not isinstance(value, str):
            return ""
        for secret in self._secrets:
            value = value.replace(secret, "***")
        return value
