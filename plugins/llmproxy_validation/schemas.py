"""Schemas, compiled: JSON Schema 2020-12 unless a schema says otherwise, by the package jsonschema-rs.

Chosen for its speed (a request costs microseconds, as it is compiled), for expressions that take linear time, and as it
fetches nothing where it is told so. `jsonschema`, the reference, is a hundred times slower, `openapi-core` builds on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmproxy_validation.faults import Fault, detail_of, pointer_of

#: Bytes of a document up to which all of its errors are looked for: each costs tens of microseconds, and the
#: validator finds all of them or one.
MANY_UP_TO: Final = 2048

#: Where a document is that others refer into.
DOCUMENT: Final = "urn:document"


class BadSchema(ValueError):
    """A schema cannot be used; the text says why."""


class Checker:
    """One compiled schema."""

    def __init__(self, schema: Any, registry: Any = None) -> None:
        """Compile a schema, which may refer to `urn:document#/...` if a registry is given.

        Raises:
            BadSchema: it is none, refers to something elsewhere, or the package is missing.
        """
        library = validator_library()
        more = {} if registry is None else {"registry": registry}
        make = library.validator_for if registry is None else library.Draft202012Validator
        options = library.RegexOptions(size_limit=1 << 20)
        try:
            self._validator: Any = make(
                schema, pattern_options=options, validate_formats=True, offline=True, **more
            )
        except (ValueError, TypeError) as fault:
            raise BadSchema(str(fault).partition("\n")[0][:300]) from None

    def check(self, value: Any, place: str, most: int, *, size: int = 0) -> Sequence[Fault]:
        """Return what is wrong with a value, `most` faults at most, one alone where the value is large."""
        if self._validator.is_valid(value):
            return ()
        if size > MANY_UP_TO:
            errors = [self._first(value)]
        else:
            errors = sorted(self._validator.iter_errors(value), key=lambda error: len(error.instance_path))
        return [
            Fault(place, pointer_of(error.instance_path), detail_of(error.kind)) for error in errors[:most]
        ]

    def _first(self, value: Any) -> Any:
        try:
            self._validator.validate(value)
        except validator_library().ValidationError as error:
            return error
        raise AssertionError("what was invalid is valid now")  # pragma: no cover


def registry_of(document: Mapping[str, Any]) -> Any:
    """Return what lets schemas refer into a document as `urn:document#/...`.

    Raises:
        BadSchema: the document cannot be referred into.
    """
    library = validator_library()
    try:
        return library.Registry([(DOCUMENT, document)], draft=library.Draft202012, retriever=_fetch_nothing)
    except (ValueError, TypeError) as fault:
        raise BadSchema(str(fault).partition("\n")[0][:300]) from None


def validator_library() -> Any:
    """Return the package, imported when the first schema is read: it is an extra.

    Raises:
        BadSchema: it is not installed.
    """
    try:
        import jsonschema_rs  # noqa: PLC0415
    except ImportError:
        raise BadSchema("schemas need a package: pip install 'llmproxy-gateway[validation]'") from None
    return jsonschema_rs


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere, and nothing is fetched; bundle the document")
