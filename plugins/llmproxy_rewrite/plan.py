"""A route's options, compiled."""

from __future__ import annotations

from collections.abc import Sequence

from llmproxy_rewrite.changes import Change, defaulting, removing, renaming, setting
from llmproxy_rewrite.config import Change as ChangeConfig
from llmproxy_rewrite.config import NamedValues, PathRewrite, RewriteRoute
from llmproxy_rewrite.deprecation import deprecation_fields
from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.expressions import compile_expression
from llmproxy_rewrite.paths import PathRule
from llmproxy_rewrite.pointers import read_pointer
from llmproxy_rewrite.templates import Shape, Template
from llmproxy_rewrite.values import catch_all_of


class Plan:
    """What one route changes."""

    def __init__(self, options: RewriteRoute, route_path: str) -> None:
        self.path = None if options.path is None else _rule(options.path, catch_all_of(route_path))
        self.query = _edits(options.query)
        self.headers = _edits(options.headers)
        self.body = _changes(options.body)
        self.reply_headers = _edits(options.reply.headers)
        self.reply_body = _changes(options.reply.body)
        told = options.deprecated
        self.told = (
            [] if told is None else deprecation_fields(told.since, told.sunset, told.link, told.successor)
        )
        self.changes_target = self.path is not None or bool(self.query)


def _rule(path: PathRewrite, catch_all: str | None) -> PathRule:
    return PathRule(
        to=None if path.to is None else Template(path.to),
        strip=path.strip or "",
        replace=[(compile_expression(each.path), Template(each.by)) for each in path.replace],
        add=path.add or "",
        catch_all=catch_all,
    )


def _edits(values: NamedValues) -> Edits:
    return Edits(values.remove, values.rename, values.set, values.add)


def _changes(changes: Sequence[ChangeConfig]) -> tuple[Change, ...]:
    return tuple(map(_change, changes))


def _change(change: ChangeConfig) -> Change:
    if change.set is not None:
        return setting(read_pointer(change.set), Shape(change.to))
    if change.default is not None:
        return defaulting(read_pointer(change.default), Shape(change.to))
    if change.remove is not None:
        return removing(read_pointer(change.remove))
    return renaming(read_pointer(change.rename or ""), change.to)
