"""A route's calls and answer, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmproxy.plugin import Reference, TextTemplate, ValueTemplate
from llmproxy_aggregate.values import REQUEST

if TYPE_CHECKING:
    from llmproxy_aggregate.config import AggregateRoute, Call
    from llmproxy_aggregate.filtering import Filter


class PlannedCall(NamedTuple):
    """One call, its templates read; `needs` are the calls whose answers it waits for."""

    name: str
    settings: Call
    target: TextTemplate
    fields: dict[str, TextTemplate]
    body: ValueTemplate | None
    filter: Filter
    needs: frozenset[str]


class Plan:
    """What a route does for each request; a call stands after those that it needs."""

    def __init__(self, settings: AggregateRoute) -> None:
        self.settings = settings
        self.calls = tuple(
            PlannedCall(name, call, call.place, call.texts, call.shape, call.filter, needs)
            for name, needs in settings.order.items()
            for call in (settings.calls[name],)
        )
        self.answer = settings.shape
        self.fields = settings.texts
        references = [*self._references()]
        #: The parts of the request that anything refers to.
        self.sources = frozenset(each.source for each in references) & REQUEST
        #: Names of the caller's header fields that the answer depends on, in lower case.
        self.varies = self._varies(references)
        #: Whether the answer depends on the caller's key, and not on his tenant alone.
        self.personal = any(each.source == "caller" and each.path != ("tenant",) for each in references)

    def _references(self) -> list[Reference]:
        found = [each for call in self.calls for each in call.settings.references]
        found += self.answer.references()
        return found + [each for text in self.fields.values() for each in text.references()]

    def _varies(self, references: list[Reference]) -> tuple[str, ...]:
        names = {each.path[0].lower() for each in references if each.source == "headers" and each.path}
        names |= {name.lower() for call in self.calls for name in call.settings.forward}
        return tuple(sorted(names))

    def waves(self) -> list[list[str]]:
        """Return the calls' names by when the first of them can be made."""
        rank: dict[str, int] = {}
        for call in self.calls:
            rank[call.name] = max((rank[name] + 1 for name in call.needs), default=0)
        waves: list[list[str]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
        for name, place in rank.items():
            waves[place].append(name)
        return waves
