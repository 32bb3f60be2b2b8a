"""What `llmproxy explain` says of a route's rewriting: names that the route writes, no text of the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmproxy_rewrite.config import Change, NamedValues, RewriteRoute


def foreseen(options: RewriteRoute) -> list[tuple[str, str]]:
    """Return what a route changes, a line a part."""
    parts = {
        "path": ["rewritten"] if options.path is not None else [],
        "query": list(_values(options.query)),
        "headers": list(_values(options.headers)),
        "body": list(_changes(options.body)),
        "answer's headers": list(_values(options.reply.headers)),
        "answer's body": list(_changes(options.reply.body)),
        "deprecated": ["told"] if options.deprecated is not None else [],
    }
    return [(name, ", ".join(words)) for name, words in parts.items() if words]


def _values(values: NamedValues) -> Iterator[str]:
    yield from (f"remove {name}" for name in values.remove)
    yield from (f"rename {old} to {new}" for old, new in values.rename.items())
    yield from (f"set {name}" for name in values.set)
    yield from (f"add {name}" for name in values.add)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        for kind in ("set", "default", "remove", "rename"):
            pointer = getattr(change, kind)
            if pointer is not None:
                yield f"{kind} {pointer}"
