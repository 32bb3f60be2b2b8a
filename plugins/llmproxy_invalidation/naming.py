"""From a rule of the configuration and the fields of an event to purges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from llmproxy.caches import Purge
from llmproxy.plugin import ConfigError
from llmproxy_invalidation.templates import Template, find

#: Fields of a rule that name what is purged, and the kind of each.
_KINDS: Final[tuple[tuple[str, Any], ...]] = (
    ("tags", "tag"),
    ("prefixes", "prefix"),
    ("urls", "url"),
    ("routes", "route"),
    ("models", "model"),
    ("templates", "template"),
    ("documents", "document"),
)

_PLACES: Final = frozenset({"prefix", "url"})


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is purged, by templates: `tags: ["product:{id}"]`."""

    tags: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    soft: bool = False

    def __post_init__(self) -> None:
        named = [(name, text) for name, _ in _KINDS for text in getattr(self, name)]
        if not named:
            raise ConfigError("tags", "nothing is named that would be purged; write tags, prefixes or urls")
        for name, text in named:
            read_template(text, name)


class Names:
    """A rule's templates, read."""

    def __init__(self, naming: Naming) -> None:
        self._soft = naming.soft
        self._templates = [
            (kind, [Template(text) for text in getattr(naming, name)])
            for name, kind in _KINDS
            if getattr(naming, name)
        ]

    @property
    def fields(self) -> frozenset[str]:
        """The fields that an event needs."""
        return frozenset(
            field for _, each in self._templates for template in each for field in template.fields
        )

    def purges(
        self,
        event: Mapping[str, Any],
        tenant: str | None = None,
        *,
        paths: Mapping[str, Any] | None = None,
    ) -> list[Purge]:
        """Return what an event purges; `paths` are its fields as they stand in URLs and prefixes.

        Raises:
            Unfilled: the event lacks a field.
        """
        purges = []
        for kind, each in self._templates:
            fields = event if paths is None or kind not in _PLACES else paths
            names = tuple(name for template in each for name in template.fill(fields))
            purges.append(Purge(kind, names, tenant, self._soft))
        return purges


class EventRule(Naming, frozen=True, kw_only=True):
    """What an event purges; `when` says which ones, by fields and their values, a list for any of several.

    `tenant` is a template too; without it the purge is for every tenant.
    """

    when: dict[str, str | int | bool | tuple[str, ...]] = {}
    tenant: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tenant is not None:
            read_template(self.tenant, "tenant")


class Rules:
    """All rules of a source of events."""

    def __init__(self, rules: Sequence[EventRule]) -> None:
        self._rules = [
            (rule.when, Names(rule), None if rule.tenant is None else Template(rule.tenant)) for rule in rules
        ]

    def purges(self, event: Mapping[str, Any]) -> list[Purge]:
        """Return what an event purges: what all rules say that apply to it, nothing if none does.

        Raises:
            Unfilled: it lacks a field that one of them needs.
        """
        return [purge for rule in self._rules for purge in self._said(event, *rule)]

    def _said(
        self, event: Mapping[str, Any], when: Mapping[str, Any], names: Names, tenant: Template | None
    ) -> Iterator[Purge]:
        if not all(_is(find(event, field), wanted) for field, wanted in when.items()):
            return
        if tenant is None:
            yield from names.purges(event)
            return
        for one in tenant.fill(event):
            yield from names.purges(event, one)


def read_template(text: str, path: str) -> Template:
    """Read a template of the configuration.

    Raises:
        ConfigError: it is none.
    """
    try:
        return Template(text)
    except ValueError as fault:
        raise ConfigError(path, str(fault)) from fault


def _is(value: object, wanted: object) -> bool:
    if isinstance(wanted, tuple):
        return any(_is(value, each) for each in wanted)
    # Streams carry texts only.
    return value == wanted or (isinstance(value, str) and value == str(wanted))
