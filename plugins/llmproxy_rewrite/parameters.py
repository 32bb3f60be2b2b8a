"""Placeholders of a route's path: which parameters they need."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from llmproxy.plugin import ConfigError
from llmproxy_rewrite.config import Change, HeaderEdits, NamedValues, RewriteRoute
from llmproxy_rewrite.templates import Shape, Source, Template


def check_parameters(route: RewriteRoute, known: Collection[str]) -> None:
    """Refuse placeholders of parameters that the route's path does not have, unless they say what stands otherwise."""
    for place, source in _sources(route):
        if source.kind == "path" and source.fallback is None and source.name not in known:
            told = ", ".join(sorted(known)) or "it has none"
            raise ConfigError(place, f"the route's path has no parameter {source.name!r} ({told})")


def _sources(route: RewriteRoute) -> Iterator[tuple[str, Source]]:
    if route.path is not None:
        texts = {"path.to": route.path.to or ""}
        texts |= {f"path.replace[{index}].by": each.by for index, each in enumerate(route.path.replace)}
        yield from _of_texts(texts)
    yield from _of_names("query", route.query)
    yield from _of_names("headers", route.headers)
    yield from _of_names("reply.headers", route.reply.headers)
    yield from _of_changes("body", route.body)
    yield from _of_changes("reply.body", route.reply.body)


def _of_names(place: str, edits: NamedValues | HeaderEdits) -> Iterator[tuple[str, Source]]:
    for key, texts in (("set", edits.set), ("add", edits.add)):
        yield from _of_texts({f"{place}.{key}.{name}": text for name, text in texts.items()})


def _of_changes(place: str, changes: tuple[Change, ...]) -> Iterator[tuple[str, Source]]:
    for index, change in enumerate(changes):
        if change.rename is None and change.to is not msgspec.UNSET:
            for source in Shape(change.to).sources:
                yield f"{place}[{index}].to", source


def _of_texts(texts: dict[str, str]) -> Iterator[tuple[str, Source]]:
    for place, text in texts.items():
        for source in Template(text).sources:
            yield place, source
